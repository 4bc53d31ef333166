/**
 * Counts the situations that a life of an ensemble has met, from outside: from what servers log, and from what they say to each
 * other. A run of many seeds that never meets one of {@link ENSEMBLE_MARKS} shows nothing about it, and fails.
 */
import { counterOf, epochOf, type Zxid } from 'zookeeper-protocol-ts';
import type { Role } from '../../server/src/quorum-peer.ts';
import type { Observation } from './observation.ts';
import { ELECTION_PORT, QUORUM_PORT, QuorumWire, type SeenNotification, type SeenPacket } from './quorum-wire.ts';

/** What a line of a server's run log tells. */
const LOGGED: readonly (readonly [mark: string, line: RegExp])[] = [
  ['discovery: a learner is ahead of its leader', /it is ahead of its leader/],
  ['discovery: no quorum in time', /no quorum of followers within/],
  ['discovery: comes to who does not lead', /this server does not lead/],
  ['sync: from the log', /is sent the log behind zxid/],
  ['sync: a learner cuts its history', /the history is cut behind/],
  ['sync: a learner takes a snapshot in', /the leader sends a snapshot/],
  ['broadcast: the quorum is gone', /a quorum of followers is gone/],
  ['broadcast: the leader is silent', /the leader was silent/],
  ['broadcast: the leader is gone', /the leader, is gone/],
  ['broadcast: a learner is silent', /it was silent, or acknowledged nothing/],
  ['broadcast: the zxids of an epoch are used up', /zxids of this epoch are used up/],
  ['disk: a torn end is cut', /ends in the remains of an unfinished write/],
  ['disk: a log without transactions', /holds no transaction: removed/],
  ['disk: an unfinished snapshot', /was never finished: removed/],
  ['disk: a snapshot can not be written', /could not be written/],
  ['disk: a snapshot is written', /^snapshot\.\w+ written/],
  ['disk: a purge', /^purged/],
  ['disk: a slow sync', /ms to sync, which slows down/],
  ['disk: a server stops', /^this server stops/],
  ['session: continued', /continued for/],
  ['session: refused', /which it can't have/],
  ['session: expires', /session \w+ expires$/],
  ['session: the client has seen more than the server', /it has seen zxid/],
  ['session: taken over by another connection', /has moved to another connection/],
];

const SEEN = [
  ...['election: a better vote is taken over', 'election: by epoch', 'election: by zxid', 'election: by id'],
  ...['election: a round of the past', 'election: told again', 'election: told who leads'],
  ...['discovery: an epoch is skipped', 'discovery: comes to an established leader'],
  ...['sync: DIFF of nothing', 'sync: DIFF', 'sync: TRUNC', 'sync: TRUNC and DIFF', 'sync: SNAP'],
  ...['sync: SNAP is not finished', 'sync: proposed meanwhile', 'sync: committed meanwhile'],
  ...['broadcast: PROPOSAL', 'broadcast: INFORM', 'broadcast: acknowledged after the commit'],
  ...[
    'broadcast: committed by the smallest quorum',
    'session: asked of the leader',
    'request: forwarded',
    'sync: forwarded',
  ],
];

/** What is to be met in many seeds. */
export const ENSEMBLE_MARKS: readonly string[] = [...LOGGED.map(([mark]) => mark), ...SEEN];

/** What a leader has sent to a learner over one stream. */
interface Sync {
  readonly kind: 'DIFF' | 'TRUNC' | 'SNAP';
  proposals: number;
  stage: 'history' | 'begun' | 'serving';
}

export class EnsembleMarks {
  readonly counts = new Map<string, number>();
  readonly #voters: number;
  readonly #wire = new QuorumWire();
  /** The last vote of each server. */
  readonly #votes = new Map<string, SeenNotification>();
  #round = 0;
  /** By pair of servers, what was told last. */
  readonly #told = new Map<string, SeenNotification>();
  /** By pair of leader and learner. */
  readonly #syncs = new Map<string, Sync>();
  readonly #roles = new Map<string, Role | undefined>();
  /** Servers that have begun to take in a snapshot. */
  readonly #receiving = new Set<string>();
  /** Of each leader: the epoch it told last, the last zxid that it committed, who has acknowledged what is not. */
  readonly #reigns = new Map<string, { epoch: number; committed: Zxid; readonly acks: Map<Zxid, number> }>();

  constructor(voters: number) {
    this.#voters = voters;
  }

  onRole(server: string, role: Role | undefined): void {
    this.#roles.set(server, role);
    this.#receiving.delete(server);
  }

  /** @returns the packets and the notification that it shows */
  observe(observation: Observation): readonly SeenPacket[] {
    if (observation.kind === 'log') this.#onLog(observation.process, observation.line);
    if (observation.kind !== 'written') return [];
    if (observation.port === ELECTION_PORT) {
      const notification = this.#wire.notification(observation);
      if (notification !== undefined) this.#onNotification(notification);
    }
    if (observation.port !== QUORUM_PORT) return [];
    const packets = [...this.#wire.packets(observation)];
    for (const packet of packets) this.#onPacket(packet);
    const served = packets.findIndex(({ name }) => name === 'UPTODATE');
    if (served >= 0 && packets.some(({ name }, i) => name === 'COMMIT' && i > served))
      this.mark('sync: committed meanwhile');
    return packets;
  }

  mark(name: string, times = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + times);
  }

  #onLog(server: string, line: string): void {
    for (const [mark, pattern] of LOGGED) if (pattern.test(line)) this.mark(mark);
    if (!/the leader sends a snapshot/.test(line)) return;
    if (this.#receiving.has(server)) this.mark('sync: SNAP is not finished');
    this.#receiving.add(server);
  }

  #onNotification(told: SeenNotification): void {
    const { from, to, state, round, leader } = told;
    const last = this.#told.get(`${from}>${to}`);
    this.#told.set(`${from}>${to}`, told);
    if (state !== 'LOOKING') return this.mark('election: told who leads');
    if (last?.state === state && last.round === round && last.leader === leader) this.mark('election: told again');
    if (round < this.#round) this.mark('election: a round of the past');
    this.#round = Math.max(round, this.#round);
    const vote = this.#votes.get(from);
    this.#votes.set(from, told);
    if (vote?.round !== round || vote.leader === leader) return;
    this.mark('election: a better vote is taken over');
    if (vote.peerEpoch !== told.peerEpoch) this.mark('election: by epoch');
    else this.mark(vote.zxid === told.zxid ? 'election: by id' : 'election: by zxid');
  }

  #onPacket({ from, to, name, zxid }: SeenPacket): void {
    const sync = this.#syncs.get(`${from}>${to}`);
    switch (name) {
      case 'LEADERINFO': {
        const reign = this.#reigns.get(from);
        if (this.#roles.get(from) === 'leader') this.mark('discovery: comes to an established leader');
        if (reign?.epoch === epochOf(zxid)) return;
        if (Math.max(0, ...[...this.#reigns.values()].map(({ epoch }) => epoch)) + 1 < epochOf(zxid))
          this.mark('discovery: an epoch is skipped');
        this.#reigns.set(from, { epoch: epochOf(zxid), committed: zxid, acks: new Map() });
        return;
      }
      case 'DIFF':
      case 'TRUNC':
      case 'SNAP':
        this.#syncs.set(`${from}>${to}`, { kind: name, proposals: 0, stage: 'history' });
        return;
      case 'NEWLEADER':
        return sync && this.#onHistorySent(sync);
      case 'UPTODATE':
        if (sync !== undefined) sync.stage = 'serving';
        return;
      case 'PROPOSAL':
      case 'INFORM':
        if (sync?.stage === 'history') sync.proposals++;
        else if (sync?.stage === 'begun') this.mark('sync: proposed meanwhile');
        else this.mark(`broadcast: ${name}`);
        return;
      case 'COMMIT':
        return this.#onCommit(from, zxid, sync);
      case 'ACK':
        return this.#onAck(to, zxid);
      case 'REQUEST':
        return this.mark('request: forwarded');
      case 'REVALIDATE':
        return this.mark('session: asked of the leader');
      case 'SYNC':
        return this.mark('sync: forwarded');
      default:
    }
  }

  #onHistorySent(sync: Sync): void {
    const { kind, proposals } = sync;
    sync.stage = 'begun';
    if (kind === 'SNAP') this.mark('sync: SNAP');
    else if (proposals > 0) this.mark(kind === 'DIFF' ? 'sync: DIFF' : 'sync: TRUNC and DIFF');
    else this.mark(kind === 'DIFF' ? 'sync: DIFF of nothing' : 'sync: TRUNC');
  }

  #onCommit(leader: string, zxid: Zxid, sync: Sync | undefined): void {
    const reign = this.#reigns.get(leader);
    if (reign === undefined || epochOf(zxid) !== reign.epoch || sync?.stage !== 'serving') return;
    if (zxid <= reign.committed) return;
    reign.committed = zxid;
    // The leader itself is one of them, or all of the others are.
    if ((reign.acks.get(zxid) ?? 0) <= Math.floor(this.#voters / 2))
      this.mark('broadcast: committed by the smallest quorum');
    reign.acks.delete(zxid);
  }

  #onAck(leader: string, zxid: Zxid): void {
    const reign = this.#reigns.get(leader);
    if (reign === undefined || epochOf(zxid) !== reign.epoch || counterOf(zxid) === 0) return;
    if (zxid <= reign.committed) this.mark('broadcast: acknowledged after the commit');
    else reign.acks.set(zxid, (reign.acks.get(zxid) ?? 0) + 1);
  }
}
