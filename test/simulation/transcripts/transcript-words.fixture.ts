/**
 * How transcripts write what servers say to each other: zxids as `epoch/counter` (the counter in hex, as in `0x1_0000_000a`: `1/a`),
 * sessions as `0x5`, packets by their names on the wire. What is printed can be read back, so that a script can speak for a server.
 */
import {
  counterOf,
  epochOf,
  makeZxid,
  OpCode,
  type QuorumPacket,
  toEpoch,
  toHex,
  toServerId,
  toSessionId,
  toXid,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { NOTIFICATION_VERSION, type Notification } from '../../../server/src/election/notification.ts';
import { type ForwardedRequest, type QuorumMessage, toPacket } from '../../../server/src/zab/messages.ts';
import type { Proposal } from '../../../server/src/zab/proposal.ts';

export const zxidText = (zxid: Zxid): string => `${epochOf(zxid)}/${counterOf(zxid).toString(16)}`;

/** @throws Error for what is no zxid */
export function toZxidOf(text: string): Zxid {
  const [, epoch, counter] = /^(\d+)\/([0-9a-f]{1,8})$/.exec(text) ?? [];
  if (epoch === undefined || counter === undefined) throw new Error(`"${text}" is not a zxid: epoch/counter`);
  return makeZxid(toEpoch(Number(epoch)), Number.parseInt(counter, 16));
}

/** `1/1..1/3 2/1`: each of them. */
export const toZxids = (text: string): Zxid[] =>
  text.split(/\s+/).flatMap((part) => {
    const [first = '', last = first] = part.split('..');
    const [from, to] = [toZxidOf(first), toZxidOf(last)];
    return Array.from({ length: Number(to - from) + 1 }, (_, i) => (from + BigInt(i)) as Zxid);
  });

/** What was on a disk from the beginning has no words. */
export const wordsOf = (bytes: Uint8Array): string =>
  bytes.length === 0 ? '' : ` "${Buffer.from(bytes).toString('utf8')}"`;

export const proposalText = ({ zxid, bytes }: Proposal): string => `${zxidText(zxid)}${wordsOf(bytes)}`;

export const requestText = ({ sessionId, cxid, type, body }: ForwardedRequest): string =>
  `session ${toHex(sessionId)}, xid ${cxid}, ${type === OpCode.sync ? 'sync' : `setData${wordsOf(body)}`}`;

// --- votes ------------------------------------------------------------------------------------------------------------

/** `vote 3 (1/5, epoch 1), round 2, LOOKING`; observers vote for nobody. */
export function voteText({ leader, zxid, peerEpoch, round, state }: Notification): string {
  const vote = leader < 0 ? 'nobody' : `${leader} (${zxidText(zxid)}, epoch ${peerEpoch})`;
  return `vote ${vote}, round ${round}, ${state}`;
}

/** Undefined for what is not a vote. */
export function toVote(text: string): Notification | undefined {
  const [, leader, zxid, epoch, round, state] =
    /^vote (\d+) \((\S+), epoch (\d+)\), round (\d+), (LOOKING|FOLLOWING|LEADING|OBSERVING)$/.exec(text) ?? [];
  if (leader === undefined || zxid === undefined) return undefined;
  return {
    ...{ leader: toServerId(Number(leader)), zxid: toZxidOf(zxid), peerEpoch: toEpoch(Number(epoch)) },
    ...{ round: Number(round), version: NOTIFICATION_VERSION, configuration: '' },
    state: state as Notification['state'], // one of those in the pattern
  };
}

// --- quorum packets ---------------------------------------------------------------------------------------------------

export function messageText(message: QuorumMessage): string {
  switch (message.kind) {
    case 'learnerInfo':
      return `${message.isVoter ? 'FOLLOWERINFO' : 'OBSERVERINFO'} server ${message.learner}, accepted epoch ${message.acceptedEpoch}`;
    case 'leaderInfo':
      return `LEADERINFO epoch ${message.epoch}`;
    case 'ackEpoch':
      return `ACKEPOCH last ${zxidText(message.lastZxid)}, ${message.currentEpoch === undefined ? 'accepted before' : `current epoch ${message.currentEpoch}`}`;
    case 'diff':
    case 'trunc':
    case 'snap':
      return `${message.kind.toUpperCase()} ${zxidText(message.zxid)}`;
    case 'newLeader':
      return `NEWLEADER epoch ${message.epoch}`;
    case 'upToDate':
      return 'UPTODATE';
    case 'proposal':
    case 'inform':
      return `${message.kind.toUpperCase()} ${proposalText(message.proposal)}`;
    case 'ack':
    case 'commit':
    case 'ping':
      return `${message.kind.toUpperCase()} ${zxidText(message.zxid)}`;
    case 'pong': {
      const heard = message.touched.map((each) => `, heard ${toHex(each.sessionId)} for ${each.timeoutMs} ms`);
      return `PING ${zxidText(message.zxid)} answered${heard.join('')}`;
    }
    case 'request':
      return `REQUEST ${requestText(message.request)}`;
    case 'revalidate':
      return `REVALIDATE ${toHex(message.sessionId)} for ${message.timeoutMs} ms`;
    case 'revalidated':
      return `REVALIDATE ${toHex(message.sessionId)}: ${message.isValid ? 'valid' : 'unknown'}`;
    case 'synced':
      return 'SYNC';
  }
}

type Reading = readonly [pattern: RegExp, read: (parts: readonly string[]) => QuorumMessage];

const proposalOf = (zxid = '', words = ''): Proposal => ({ zxid: toZxidOf(zxid), bytes: Buffer.from(words) });
const epochOfText = (text = ''): ReturnType<typeof toEpoch> => toEpoch(Number(text));
const sessionOf = (text = ''): ReturnType<typeof toSessionId> => toSessionId(BigInt(text));

const READINGS: readonly Reading[] = [
  [
    /^(FOLLOWER|OBSERVER)INFO server (\d+), accepted epoch (\d+)$/,
    ([role, learner, epoch]) => ({
      ...{ kind: 'learnerInfo', learner: toServerId(Number(learner)), isVoter: role === 'FOLLOWER' },
      acceptedEpoch: epochOfText(epoch),
    }),
  ],
  [/^LEADERINFO epoch (\d+)$/, ([epoch]) => ({ kind: 'leaderInfo', epoch: epochOfText(epoch) })],
  [
    /^ACKEPOCH last (\S+), current epoch (\d+)$/,
    ([last = '', epoch]) => ({ kind: 'ackEpoch', lastZxid: toZxidOf(last), currentEpoch: epochOfText(epoch) }),
  ],
  [
    /^ACKEPOCH last (\S+), accepted before$/,
    ([last = '']) => ({ kind: 'ackEpoch', lastZxid: toZxidOf(last), currentEpoch: undefined }),
  ],
  [/^DIFF (\S+)$/, ([zxid = '']) => ({ kind: 'diff', zxid: toZxidOf(zxid) })],
  [/^TRUNC (\S+)$/, ([zxid = '']) => ({ kind: 'trunc', zxid: toZxidOf(zxid) })],
  [/^SNAP (\S+)$/, ([zxid = '']) => ({ kind: 'snap', zxid: toZxidOf(zxid) })],
  [/^NEWLEADER epoch (\d+)$/, ([epoch]) => ({ kind: 'newLeader', epoch: epochOfText(epoch), configuration: '' })],
  [/^UPTODATE$/, () => ({ kind: 'upToDate' })],
  [/^PROPOSAL (\S+)(?: "(.*)")?$/, ([zxid, words]) => ({ kind: 'proposal', proposal: proposalOf(zxid, words) })],
  [/^INFORM (\S+)(?: "(.*)")?$/, ([zxid, words]) => ({ kind: 'inform', proposal: proposalOf(zxid, words) })],
  [/^ACK (\S+)$/, ([zxid = '']) => ({ kind: 'ack', zxid: toZxidOf(zxid) })],
  [/^COMMIT (\S+)$/, ([zxid = '']) => ({ kind: 'commit', zxid: toZxidOf(zxid) })],
  [/^PING (\S+)$/, ([zxid = '']) => ({ kind: 'ping', zxid: toZxidOf(zxid) })],
  [/^PING (\S+) answered$/, ([zxid = '']) => ({ kind: 'pong', zxid: toZxidOf(zxid), touched: [] })],
  [
    /^REQUEST session (\S+), xid (\d+), (?:sync|setData "(.*)")$/,
    ([session, xid, words]) => ({
      kind: 'request',
      request: {
        ...{ sessionId: sessionOf(session), cxid: toXid(Number(xid)), identities: [] },
        ...{ type: words === undefined ? OpCode.sync : OpCode.setData, body: Buffer.from(words ?? '') },
      },
    }),
  ],
  [
    /^REVALIDATE (0x[0-9a-f]+) for (\d+) ms$/,
    ([session, timeout]) => ({ kind: 'revalidate', sessionId: sessionOf(session), timeoutMs: Number(timeout) }),
  ],
  [
    /^REVALIDATE (0x[0-9a-f]+): (valid|unknown)$/,
    ([session, answer]) => ({ kind: 'revalidated', sessionId: sessionOf(session), isValid: answer === 'valid' }),
  ],
  [/^SYNC$/, () => ({ kind: 'synced' })],
];

/** @throws Error for what is not the text of a packet */
export function toMessageOf(text: string): QuorumMessage {
  for (const [pattern, read] of READINGS) {
    const found = pattern.exec(text);
    if (found !== null) return read(found.slice(1));
  }
  throw new Error(`"${text}" is no packet of the quorum port`);
}

/** Also of packets that no server sends: `packet of type 99, zxid 1/0, data 00000001`. @throws Error */
export function toPacketOf(text: string): QuorumPacket {
  const raw = /^packet of type (\d+)(?:, zxid ([^,]+))?(?:, data ([0-9a-f]+))?$/.exec(text);
  if (raw === null) return toPacket(toMessageOf(text));
  const [, type, zxid = '0/0', data] = raw;
  return {
    ...{ type: Number(type), zxid: toZxidOf(zxid), authinfo: null },
    data: data === undefined ? null : Buffer.from(data, 'hex'),
  };
}
