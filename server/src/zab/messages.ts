import {
  type Epoch,
  epochOf,
  type Id,
  identity,
  JuteReader,
  JuteWriter,
  LEARNER_PROTOCOL_VERSION,
  learnerInfo,
  MarshallingError,
  makeZxid,
  type QuorumPacket,
  QuorumPacketType,
  quorumPacket,
  type ServerId,
  type SessionId,
  toEpoch,
  toSessionId,
  toXid,
  toZxid,
  type Xid,
  ZERO_ZXID,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { assertNever } from '../invariant.ts';
import type { Proposal } from './proposal.ts';

/**
 * What leader and learners say to each other, in words of the protocol, and how that stands in quorum packets
 * (`LearnerHandler.packetToString`, `Learner.java`).
 */
export type QuorumMessage =
  /** A learner introduces itself. */
  | {
      readonly kind: 'learnerInfo';
      readonly learner: ServerId;
      readonly isVoter: boolean;
      readonly acceptedEpoch: Epoch;
    }
  /** The leader's epoch, which is new. */
  | { readonly kind: 'leaderInfo'; readonly epoch: Epoch }
  /** The learner has accepted it. No current epoch: it had accepted it before, and its history counts no more. */
  | { readonly kind: 'ackEpoch'; readonly lastZxid: Zxid; readonly currentEpoch: Epoch | undefined }
  /** Your history is a part of mine: what you lack follows, up to `zxid`. */
  | { readonly kind: 'diff'; readonly zxid: Zxid }
  /** Drop what you have behind `zxid`; what you lack follows. */
  | { readonly kind: 'trunc'; readonly zxid: Zxid }
  /** Drop all that you have: a snapshot follows on the same stream, then what it lacks. */
  | { readonly kind: 'snap'; readonly zxid: Zxid }
  /** All that belongs to the beginning of this epoch has been sent. */
  | { readonly kind: 'newLeader'; readonly epoch: Epoch; readonly configuration: string }
  /** A quorum has it: serve clients. */
  | { readonly kind: 'upToDate' }
  | { readonly kind: 'proposal'; readonly proposal: Proposal }
  /** It and all before it are durable: one of several in a row may stand for all of them. */
  | { readonly kind: 'ack'; readonly zxid: Zxid }
  /** It and all before it are committed. */
  | { readonly kind: 'commit'; readonly zxid: Zxid }
  /** Proposal and commit in one, for those who don't vote. */
  | { readonly kind: 'inform'; readonly proposal: Proposal }
  | { readonly kind: 'ping'; readonly zxid: Zxid }
  /** The answer: sessions whose clients were heard since the last one, with their timeouts. */
  | { readonly kind: 'pong'; readonly zxid: Zxid; readonly touched: readonly TouchedSession[] }
  | { readonly kind: 'request'; readonly request: ForwardedRequest }
  | { readonly kind: 'revalidate'; readonly sessionId: SessionId; readonly timeoutMs: number }
  | { readonly kind: 'revalidated'; readonly sessionId: SessionId; readonly isValid: boolean }
  /** The answer to a forwarded sync. */
  | { readonly kind: 'synced' };

export interface TouchedSession {
  readonly sessionId: SessionId;
  readonly timeoutMs: number;
}

/** A client's request that only the leader can order. */
export interface ForwardedRequest {
  readonly sessionId: SessionId;
  readonly cxid: Xid;
  /** An operation code, as the client sent it. */
  readonly type: number;
  readonly body: Uint8Array;
  /** Whom the client has proved to be. */
  readonly identities: readonly Id[];
}

/** From whom a packet comes: some of them mean another thing in the other direction. */
export type Sender = 'leader' | 'learner';

const NO_ZXID = toZxid(-1n);
const NO_EPOCH = -1;
const EMPTY = Buffer.alloc(0);

/** @throws MarshallingError for a packet that this sender can't send */
export function toMessage({ type, zxid, data, authinfo }: QuorumPacket, sender: Sender): QuorumMessage {
  switch (type) {
    case QuorumPacketType.FOLLOWERINFO:
    case QuorumPacketType.OBSERVERINFO: {
      const { serverId } = learnerInfo.read(contents(data, 'learner info'));
      return {
        kind: 'learnerInfo',
        learner: serverId,
        isVoter: type === QuorumPacketType.FOLLOWERINFO,
        acceptedEpoch: epochOf(zxid),
      };
    }
    case QuorumPacketType.LEADERINFO:
      if (contents(data, 'leader info').readInt() < LEARNER_PROTOCOL_VERSION) {
        throw new MarshallingError('a leader that speaks an older protocol than ZAB 1.0');
      }
      return { kind: 'leaderInfo', epoch: epochOf(zxid) };
    case QuorumPacketType.ACKEPOCH: {
      const epoch = contents(data, 'acknowledged epoch').readInt();
      return { kind: 'ackEpoch', lastZxid: zxid, currentEpoch: epoch === NO_EPOCH ? undefined : toEpoch(epoch) };
    }
    case QuorumPacketType.DIFF:
      return { kind: 'diff', zxid };
    case QuorumPacketType.TRUNC:
      return { kind: 'trunc', zxid };
    case QuorumPacketType.SNAP:
      return { kind: 'snap', zxid };
    case QuorumPacketType.NEWLEADER:
      return {
        kind: 'newLeader',
        epoch: epochOf(zxid),
        configuration: data === null ? '' : Buffer.from(data).toString(),
      };
    case QuorumPacketType.UPTODATE:
      return { kind: 'upToDate' };
    case QuorumPacketType.PROPOSAL:
      return { kind: 'proposal', proposal: { zxid, bytes: required(data, 'proposal') } };
    case QuorumPacketType.INFORM:
      return { kind: 'inform', proposal: { zxid, bytes: required(data, 'inform') } };
    case QuorumPacketType.ACK:
      return { kind: 'ack', zxid };
    case QuorumPacketType.COMMIT:
      return { kind: 'commit', zxid };
    case QuorumPacketType.PING:
      return sender === 'leader' ? { kind: 'ping', zxid } : { kind: 'pong', zxid, touched: readTouched(data) };
    case QuorumPacketType.REQUEST:
      return { kind: 'request', request: readRequest(contents(data, 'request'), authinfo) };
    case QuorumPacketType.REVALIDATE: {
      const reader = contents(data, 'session');
      const sessionId = toSessionId(reader.readLong());
      if (sender === 'leader') return { kind: 'revalidated', sessionId, isValid: reader.readBool() };
      return { kind: 'revalidate', sessionId, timeoutMs: reader.readInt() };
    }
    case QuorumPacketType.SYNC:
      return { kind: 'synced' };
    default:
      throw new MarshallingError(`a quorum packet of the unknown type ${type}`);
  }
}

export function toPacket(message: QuorumMessage): QuorumPacket {
  switch (message.kind) {
    case 'learnerInfo': {
      const { learner, isVoter, acceptedEpoch } = message;
      const type = isVoter ? QuorumPacketType.FOLLOWERINFO : QuorumPacketType.OBSERVERINFO;
      const info = { serverId: learner, protocolVersion: LEARNER_PROTOCOL_VERSION, configVersion: 0n };
      return packet(
        type,
        makeZxid(acceptedEpoch, 0),
        written((writer) => learnerInfo.write(writer, info)),
      );
    }
    case 'leaderInfo':
      return packet(
        QuorumPacketType.LEADERINFO,
        makeZxid(message.epoch, 0),
        written((writer) => writer.writeInt(LEARNER_PROTOCOL_VERSION)),
      );
    case 'ackEpoch': {
      const epoch = message.currentEpoch ?? NO_EPOCH;
      return packet(
        QuorumPacketType.ACKEPOCH,
        message.lastZxid,
        written((writer) => writer.writeInt(epoch)),
      );
    }
    case 'diff':
      return packet(QuorumPacketType.DIFF, message.zxid);
    case 'trunc':
      return packet(QuorumPacketType.TRUNC, message.zxid);
    case 'snap':
      return packet(QuorumPacketType.SNAP, message.zxid);
    case 'newLeader':
      return packet(QuorumPacketType.NEWLEADER, makeZxid(message.epoch, 0), Buffer.from(message.configuration));
    case 'upToDate':
      return packet(QuorumPacketType.UPTODATE, NO_ZXID);
    case 'proposal':
      return packet(QuorumPacketType.PROPOSAL, message.proposal.zxid, message.proposal.bytes);
    case 'inform':
      return packet(QuorumPacketType.INFORM, message.proposal.zxid, message.proposal.bytes);
    case 'ack':
      return packet(QuorumPacketType.ACK, message.zxid);
    case 'commit':
      return packet(QuorumPacketType.COMMIT, message.zxid);
    case 'ping':
      return packet(QuorumPacketType.PING, message.zxid);
    case 'pong':
      return packet(QuorumPacketType.PING, message.zxid, writeTouched(message.touched));
    case 'request': {
      const { request } = message;
      const data = written((writer) => writeRequest(writer, request));
      return { ...packet(QuorumPacketType.REQUEST, NO_ZXID, data), authinfo: request.identities };
    }
    case 'revalidate':
      return packet(
        QuorumPacketType.REVALIDATE,
        NO_ZXID,
        written((writer) => {
          writer.writeLong(message.sessionId);
          writer.writeInt(message.timeoutMs);
        }),
      );
    case 'revalidated':
      return packet(
        QuorumPacketType.REVALIDATE,
        NO_ZXID,
        written((writer) => {
          writer.writeLong(message.sessionId);
          writer.writeBool(message.isValid);
        }),
      );
    case 'synced':
      return packet(QuorumPacketType.SYNC, ZERO_ZXID);
    default:
      return assertNever(message);
  }
}

/** Writes a message as a packet. What there is of every transaction takes no detour over one. */
export function writeMessage(writer: JuteWriter, message: QuorumMessage): void {
  switch (message.kind) {
    case 'proposal':
      return writeBare(writer, QuorumPacketType.PROPOSAL, message.proposal.zxid, message.proposal.bytes);
    case 'inform':
      return writeBare(writer, QuorumPacketType.INFORM, message.proposal.zxid, message.proposal.bytes);
    case 'ack':
      return writeBare(writer, QuorumPacketType.ACK, message.zxid, null);
    case 'commit':
      return writeBare(writer, QuorumPacketType.COMMIT, message.zxid, null);
    case 'request': {
      writer.writeInt(QuorumPacketType.REQUEST);
      writer.writeLong(NO_ZXID);
      const data = writer.startFrame();
      writeRequest(writer, message.request);
      writer.endFrame(data);
      return writer.writeVector(message.request.identities, identity.write);
    }
    default:
      return quorumPacket.write(writer, toPacket(message));
  }
}

/** A packet without identities. */
function writeBare(writer: JuteWriter, type: QuorumPacketType, zxid: Zxid, data: Uint8Array | null): void {
  writer.writeInt(type);
  writer.writeLong(zxid);
  writer.writeBuffer(data);
  writer.writeVector(null, nothing);
}

const nothing = (): void => undefined;

const packet = (type: QuorumPacketType, zxid: Zxid, data: Uint8Array | null = null): QuorumPacket => ({
  type,
  zxid,
  data,
  authinfo: null,
});

function written(write: (writer: JuteWriter) => void): Uint8Array {
  const writer = new JuteWriter(64);
  write(writer);
  return writer.take();
}

function required(data: Uint8Array | null, what: string): Uint8Array {
  if (data === null) throw new MarshallingError(`a quorum packet without its ${what}`);
  return data;
}

const contents = (data: Uint8Array | null, what: string): JuteReader => new JuteReader(required(data, what));

function readRequest(reader: JuteReader, authinfo: readonly Id[] | null): ForwardedRequest {
  const sessionId = toSessionId(reader.readLong());
  const cxid = toXid(reader.readInt());
  const type = reader.readInt();
  return { sessionId, cxid, type, body: reader.readRemaining(), identities: authinfo ?? [] };
}

function writeRequest(writer: JuteWriter, { sessionId, cxid, type, body }: ForwardedRequest): void {
  writer.writeLong(sessionId);
  writer.writeInt(cxid);
  writer.writeInt(type);
  writer.writeRaw(body);
}

function readTouched(data: Uint8Array | null): TouchedSession[] {
  const reader = new JuteReader(data ?? EMPTY);
  const touched: TouchedSession[] = [];
  while (reader.remaining > 0) {
    const sessionId = toSessionId(reader.readLong());
    touched.push({ sessionId, timeoutMs: reader.readInt() });
  }
  return touched;
}

const writeTouched = (touched: readonly TouchedSession[]): Uint8Array =>
  written((writer) => {
    for (const { sessionId, timeoutMs } of touched) {
      writer.writeLong(sessionId);
      writer.writeInt(timeoutMs);
    }
  });
