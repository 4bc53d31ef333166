/**
 * Agreement of one server without the server: a network, a disk and a clock that the test moves, the shipped state machine and the
 * shipped history on them, and whoever is at the other end as bytes.
 */
import {
  JuteWriter,
  type QuorumPacket,
  quorumPacket,
  type ServerId,
  toEpoch,
  toServerId,
  toSessionId,
  toZxid,
} from 'zookeeper-protocol-ts';
import { ServerMetrics } from './admin/metrics.ts';
import { Agreement, type AgreementUser } from './agreement.ts';
import { FakeClock } from './client-sessions.fixture.ts';
import { completeConfig } from './config.ts';
import { FakeNetwork, FakeRunLog, type FakeStream } from './connection/fake-network.fixture.ts';
import { NOTIFICATION_VERSION, type Notification, writeNotification } from './election/notification.ts';
import { Ensemble, type Member } from './ensemble.ts';
import { QuorumPeer } from './quorum-peer.ts';
import { type DiskOperation, MemoryDisk } from './storage/memory-disk.ts';
import { recordOf } from './storage/txn-log.fixture.ts';
import { StoredHistory } from './stored-history.ts';
import { type QuorumMessage, toPacket } from './zab/messages.ts';

export const [ONE, TWO, THREE] = [toServerId(1), toServerId(2), toServerId(3)];
export const QUORUM_PORT = 2888;
export const ELECTION_PORT = 3888;
export const SESSION = toSessionId(5n);
export const TICK_MS = 1000;

const memberOf = (id: ServerId): Member => ({
  ...{ id, type: 'participant' },
  ...{
    quorumAddress: { host: `zk${id}`, port: QUORUM_PORT },
    electionAddress: { host: `zk${id}`, port: ELECTION_PORT },
  },
});

export const framed = (bytes: Uint8Array): Buffer => {
  const head = Buffer.alloc(4);
  head.writeInt32BE(bytes.length);
  return Buffer.concat([head, bytes]);
};

/** What a server says first on the election port. */
function introduction(id: ServerId): Buffer {
  const writer = new JuteWriter();
  writer.writeLong(-65536n);
  writer.writeLong(BigInt(id));
  writer.writeString(`zk${id}:${ELECTION_PORT}`);
  return Buffer.from(writer.take());
}

const vote = (leader: ServerId, state: Notification['state'] = 'LOOKING'): Buffer =>
  framed(
    writeNotification({
      ...{ leader, zxid: toZxid(0n), peerEpoch: toEpoch(0), round: 1, state },
      ...{ version: NOTIFICATION_VERSION, configuration: '' },
    }),
  );

export const packets = (...list: QuorumPacket[]): Buffer => {
  const writer = new JuteWriter();
  for (const packet of list) quorumPacket.write(writer, packet);
  return Buffer.from(writer.take());
};

export const wire = (...messages: QuorumMessage[]): Buffer => packets(...messages.map(toPacket));

/** The types of the packets that were written since the last time. */
export function typesIn(bytes: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    types.push(bytes.readInt32BE(at));
    const data = Math.max(bytes.readInt32BE(at + 12), 0);
    at += 20 + data;
  }
  return types;
}

interface StageOptions {
  readonly self: ServerId;
  /** Default: three voters. */
  readonly ensemble?: Ensemble;
}

/** Agreement of one server on a network, a disk and a clock that the test moves. */
export class Stage {
  readonly network = new FakeNetwork();
  readonly runLog = new FakeRunLog();
  readonly clock = new FakeClock();
  /** What the server hears, in its order. */
  readonly events: string[] = [];
  readonly failures: Error[] = [];
  readonly user: AgreementUser;
  readonly history: StoredHistory;
  readonly agreement: Agreement;
  readonly disk: MemoryDisk;
  /** The disk refuses what this is true of. */
  refuses: (operation: DiskOperation) => boolean = () => false;
  readonly #queue: (() => void)[] = [];
  #isAsked = false;

  constructor({ self, ensemble = new Ensemble({ members: [ONE, TWO, THREE].map(memberOf) }) }: StageOptions) {
    const { clock, events, network, runLog } = this;
    clock.soon = (run) => void this.#queue.push(run);
    this.disk = new MemoryDisk({
      soon: (run) => this.#queue.push(run),
      onOperation: (operation) => (this.refuses(operation) ? new Error('the disk refuses') : undefined),
    });
    const config = completeConfig({ dataDir: '/data', clientPort: 2181, ensemble });
    this.history = new StoredHistory({
      ...{ config, clock, runLog, metrics: new ServerMetrics() },
      ...{ logDisk: this.disk, snapshotDisk: this.disk, gzip: undefined },
      onSynced: (zxid) => this.agreement.step({ kind: 'synced', zxid }),
      onSlowSync: () => undefined,
      onFailure: (error) => this.failures.push(error),
    });
    this.user = {
      onDeliver: ({ zxid }) => events.push(`deliver ${zxid & 0xffn}`),
      onAppended: ({ zxid }) => events.push(`append ${zxid & 0xffn}`),
      onSyncCompleted: (id) => events.push(`sync ${id}`),
      onRoleChanged: (role, reason) => events.push(`${role ?? 'nobody'}: ${reason}`),
      askForTurn: () => {
        this.#isAsked = true;
      },
      onAsked: (_, { sessionId, cxid }) => events.push(`asked ${sessionId} ${cxid}`),
      onTouched: (sessions) => events.push(`touched ${sessions.map(({ sessionId }) => sessionId)}`),
      isSessionValid: (_, sessionId) => sessionId === SESSION,
      onRevalidated: (sessionId, isValid) => events.push(`revalidated ${sessionId} ${isValid}`),
      takeTouched: () => [{ sessionId: SESSION, timeoutMs: 4000 }],
      onFailure: (error) => this.failures.push(error),
    };
    this.history.open((outcome) => {
      if ('error' in outcome) throw outcome.error;
    });
    this.settle();
    const timing = { tickTimeMs: TICK_MS, initLimit: 10, syncLimit: 5 };
    const peer = new QuorumPeer({
      ...{ self, ensemble, timing, lastZxid: this.history.database.lastZxid },
      commitLogCount: 500,
      epochs: { accepted: toEpoch(0), current: toEpoch(0) },
    });
    this.agreement = new Agreement({
      ...{ self, ensemble, peer, timing, network, runLog, user: this.user, disk: this.disk, history: this.history },
      ...{ frameBytesMax: config.frameBytesMax, now: () => clock.now() },
    });
  }

  /** Both ports are there, and it looks for a leader. */
  start(): this {
    this.agreement.start((error) => {
      if (error !== null) throw error;
    });
    this.network.bind();
    return this;
  }

  /** The disk is done with what it was asked for, and the turn ends. */
  settle(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next();
  }

  /** Turns end until nothing is left to do. */
  flush(): void {
    do {
      this.#isAsked = false;
      this.agreement.flush();
      this.settle();
    } while (this.#isAsked);
  }

  /** A learner comes, and says something. */
  learner(...messages: QuorumMessage[]): FakeStream {
    const stream = this.network.connect(QUORUM_PORT);
    stream.receive(wire(...messages));
    return stream;
  }
}

export const infoOf = (learner: ServerId): QuorumMessage => ({
  ...{ kind: 'learnerInfo', learner, isVoter: true, acceptedEpoch: toEpoch(0) },
});

/** Server 3 has all votes. Servers 1 and 2 are on the streams that it has made to their election ports. */
export function elected(): { stage: Stage; votes: readonly [FakeStream, FakeStream] } {
  const stage = new Stage({ self: THREE }).start();
  const votes = [stage.network.open(), stage.network.open()] as const;
  for (const stream of votes) stream.receive(vote(THREE));
  return { stage, votes };
}

/** It leads, with server 2 as its follower, in epoch 1. */
export function leading(): { stage: Stage; follower: FakeStream; votes: readonly [FakeStream, FakeStream] } {
  const { stage, votes } = elected();
  const follower = stage.learner(infoOf(TWO));
  stage.flush();
  follower.receive(wire({ kind: 'ackEpoch', lastZxid: toZxid(0n), currentEpoch: toEpoch(0) }));
  stage.flush();
  follower.receive(wire({ kind: 'ack', zxid: toZxid(0x1_0000_0000n) }));
  stage.flush();
  return { stage, follower, votes };
}

/** Server 1 has heard that 3 leads, and dials it. Servers 2 and 3 are on the streams on which it has heard that. */
export function dialling(): { stage: Stage; votes: readonly FakeStream[] } {
  const stage = new Stage({ self: ONE }).start();
  return { stage, votes: hearOfLeader(stage) };
}

/** The others have called it back, and say that 3 leads. */
export function hearOfLeader({ network }: Stage): readonly FakeStream[] {
  while (network.dials.length > 0) network.open();
  return (
    [
      [TWO, 'FOLLOWING'],
      [THREE, 'LEADING'],
    ] as const
  ).map(([from, state]) => {
    const stream = network.connect(ELECTION_PORT);
    stream.receive(Buffer.concat([introduction(from), vote(THREE, state)]));
    return stream;
  });
}

/** And has reached it, and accepted its epoch. */
export function accepted(): { stage: Stage; leader: FakeStream; votes: readonly FakeStream[] } {
  const { stage, votes } = dialling();
  const leader = stage.network.open();
  leader.receive(wire({ kind: 'leaderInfo', epoch: toEpoch(1) }));
  stage.flush();
  leader.take();
  for (const stream of votes) stream.take();
  return { stage, leader, votes };
}

/** And follows it. */
export function following(): { stage: Stage; leader: FakeStream } {
  const { stage, leader } = accepted();
  leader.receive(wire({ kind: 'diff', zxid: toZxid(0n) }, { kind: 'newLeader', epoch: toEpoch(1), configuration: '' }));
  stage.flush();
  leader.receive(wire({ kind: 'upToDate' }));
  stage.flush();
  leader.take();
  stage.events.length = 0;
  return { stage, leader };
}

export const proposalAt = (counter: number) => {
  const zxid = 0x1_0000_0000n + BigInt(counter);
  return { zxid: toZxid(zxid), bytes: recordOf(zxid) };
};
