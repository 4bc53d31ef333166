/**
 * One server of the agreement world: the shipped `QuorumPeer`, and everything around it made of arrays: a log of which a crash
 * keeps what was synced and some of the rest, two epochs, a database that is the list of what was applied. It performs what the
 * machine asks for, each with a delay of its own, so nothing is done in the order in which it was asked for unless it must be.
 */
import { type Epoch, type ServerId, toEpoch, toHex, toZxid, type Zxid } from 'zookeeper-protocol-ts';
import type { Notification } from '../../server/src/election/notification.ts';
import type { Ensemble } from '../../server/src/ensemble.ts';
import { type Input, type Output, QuorumPeer, type Role } from '../../server/src/quorum-peer.ts';
import type { EpochKind, LinkId } from '../../server/src/zab/contract.ts';
import type { QuorumMessage } from '../../server/src/zab/messages.ts';

export interface Entry {
  readonly zxid: Zxid;
  readonly value: string;
}

/** What a peer finds around it. */
export interface Surroundings {
  readonly ensemble: Ensemble;
  readonly now: () => number;
  /** An even draw, both bounds included. */
  readonly between: (min: number, max: number) => number;
  readonly after: (ms: number, run: () => void) => void;
  readonly notify: (from: AgreementPeer, to: ServerId, notification: Notification) => void;
  readonly dial: (from: AgreementPeer, to: ServerId, link: LinkId) => void;
  /** Hands something over on a link, in its order. */
  readonly send: (from: AgreementPeer, link: LinkId, parcel: Parcel) => void;
  readonly close: (from: AgreementPeer, link: LinkId) => void;
  /** Its process is gone: so is all that it had open. */
  readonly closeAll: (from: AgreementPeer) => void;
  /** The peer waits for a snapshot from now on. */
  readonly onSnapshotAwaited: (peer: AgreementPeer) => void;
  readonly mark: (name: string) => void;
  readonly trace: (line: () => string) => void;
  readonly observer: Observer;
}

/** What goes over a link. */
export interface Parcel {
  /** How long it takes on top of the way. */
  readonly takesMs?: number;
  readonly arrived: (to: AgreementPeer, link: LinkId) => void;
}

/** Who looks on: the checkers. */
export interface Observer {
  readonly onRole: (peer: AgreementPeer) => void;
  readonly onDeliver: (peer: AgreementPeer) => void;
  readonly onEpoch: (peer: AgreementPeer, which: EpochKind, before: number) => void;
  /** The log is shorter, or another one. */
  readonly onHistoryChanged: (peer: AgreementPeer) => void;
}

export const TICK_MS = 100;
export const INIT_LIMIT = 10;
export const SYNC_LIMIT = 5;
/** So many of the last entries are still at hand after a crash. */
const RECENT_MAX = 500;

export class AgreementPeer {
  readonly id: ServerId;
  readonly #around: Surroundings;
  log: Entry[] = [];
  /** So many entries of the log are durable. */
  synced = 0;
  readonly epochs: Record<EpochKind, number> = { accepted: 0, current: 0 };
  /** The database: what was recovered, and what was delivered since. */
  applied: Entry[] = [];
  role: Role | undefined;
  isUp = false;
  /** Counts its processes, so that nothing of an earlier one reaches a later one. */
  incarnation = 0;
  /** How slow its disk is, as a factor. */
  diskFactor = 1;
  #peer: QuorumPeer | undefined;
  /** When its timer runs next. */
  #timerAt = Number.POSITIVE_INFINITY;
  #isSyncing = false;
  #receiving: LinkId | undefined;
  /** While its history is being changed: what has arrived, and is not read. */
  #unread: (() => void)[] | undefined;
  /** While it is frozen: what it has not heard yet. */
  #held: (() => void)[] | undefined;

  constructor(id: ServerId, around: Surroundings) {
    this.id = id;
    this.#around = around;
  }

  get peer(): QuorumPeer {
    if (this.#peer === undefined) throw new Error(`server ${this.id} was never started`);
    return this.#peer;
  }

  get last(): Zxid {
    return this.log.at(-1)?.zxid ?? toZxid(0n);
  }

  get isFrozen(): boolean {
    return this.#held !== undefined;
  }

  start(): void {
    if (this.isUp) return;
    this.isUp = true;
    this.incarnation++;
    this.role = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#isSyncing = false;
    this.#receiving = undefined;
    this.#unread = undefined;
    this.#held = undefined;
    this.applied = [...this.log];
    this.#peer = new QuorumPeer({
      self: this.id,
      ensemble: this.#around.ensemble,
      lastZxid: this.last,
      recent: this.log.slice(-RECENT_MAX).map(({ zxid, value }) => ({ zxid, bytes: Buffer.from(value) })),
      commitLogCount: this.#around.between(0, 3) === 0 ? 3 : 500,
      epochs: { accepted: toEpoch(this.epochs.accepted), current: toEpoch(this.epochs.current) },
      timing: { tickTimeMs: TICK_MS, initLimit: INIT_LIMIT, syncLimit: SYNC_LIMIT },
    });
    this.#trace(() => `starts at ${toHex(this.last)}, epochs ${this.epochs.accepted} ${this.epochs.current}`);
    this.#perform(this.#peer.start(this.#around.now()));
  }

  /** Its process dies, and all that was written is kept; or power is lost, and of what was not synced some is, from the front. */
  crash(): void {
    if (!this.isUp) return;
    this.isUp = false;
    this.role = undefined;
    const kept =
      this.#around.between(0, 1) === 0 ? this.log.length : this.#around.between(this.synced, this.log.length);
    if (kept < this.log.length) this.#around.mark('unsynced log lost');
    this.#trace(() => `crashes, ${this.log.length - kept} of ${this.log.length - this.synced} unsynced entries lost`);
    this.log.length = kept;
    this.synced = kept;
    this.#around.closeAll(this);
    this.#around.observer.onHistoryChanged(this);
  }

  freeze(): void {
    if (this.isUp) this.#held ??= [];
  }

  thaw(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const run of held) if (this.isUp) run();
  }

  step(input: Input): void {
    this.hear(() => this.#perform(this.peer.step(input, this.#around.now())));
  }

  /** Does it now, or when it is awake again. */
  hear(run: () => void): void {
    if (!this.isUp) return;
    if (this.#held === undefined) run();
    else this.#held.push(run);
  }

  onLinkClosed(link: LinkId): void {
    this.hear(() => {
      if (this.#receiving === link) {
        this.#receiving = undefined;
        this.#around.mark('snapshot lost');
        this.step({ kind: 'snapshotLost' });
      }
      this.step({ kind: 'linkClosed', link });
    });
  }

  /** The next proposal. Does nothing unless it leads. */
  propose(value: string): void {
    if (!this.isUp || this.isFrozen || this.role !== 'leader') return;
    this.step({ kind: 'propose', proposal: { zxid: this.peer.nextZxid, bytes: Buffer.from(value) } });
  }

  #later(ms: number, run: () => void): void {
    const { incarnation } = this;
    this.#around.after(ms, () => {
      if (this.incarnation === incarnation) this.hear(run);
    });
  }

  #onDisk(ms: number, run: () => void): void {
    this.#later(this.#around.between(1, ms) * this.diskFactor, run);
  }

  #perform(outputs: readonly Output[]): void {
    for (const output of outputs) this.#do(output);
    this.#arm();
  }

  /** Deadlines move on with every message: the timer is set again when it has run too early. */
  #arm(): void {
    const deadline = this.peer.nextDeadline();
    if (deadline >= this.#timerAt) return;
    this.#timerAt = deadline;
    this.#later(Math.max(0, deadline - this.#around.now()), () => {
      if (this.#timerAt !== deadline) return;
      this.#timerAt = Number.POSITIVE_INFINITY;
      if (this.#around.now() >= this.peer.nextDeadline()) this.step({ kind: 'tick' });
      else this.#arm();
    });
  }

  #do(output: Output): void {
    this.#trace(() => describeOutput(output));
    const around = this.#around;
    switch (output.kind) {
      case 'notify':
        return around.notify(this, output.to, output.notification);
      case 'roleChanged':
        this.role = output.role;
        return around.observer.onRole(this);
      case 'dial':
        return around.dial(this, output.leader, output.link);
      case 'send':
        return this.#send(output.link, output.message);
      case 'pong':
        return this.#send(output.link, { kind: 'pong', zxid: output.zxid, touched: [] });
      case 'close':
        if (this.#receiving === output.link) {
          this.#receiving = undefined;
          this.#later(0, () => this.step({ kind: 'snapshotLost' }));
        }
        return around.close(this, output.link);
      case 'append':
        return this.#append(entryOf(output.proposal));
      case 'deliver':
        this.applied.push(entryOf(output.proposal));
        return around.observer.onDeliver(this);
      case 'saveEpoch':
        return this.#saveEpoch(output.which, output.epoch);
      case 'truncate':
        this.#unread = [];
        return this.#onDisk(10, () => this.#truncate(output.after));
      case 'sendSnapshot': {
        const contents = [...this.applied];
        const takesMs = around.between(0, 500);
        around.send(this, output.link, { takesMs, arrived: (to, link) => to.#onSnapshot(link, contents) });
        return this.#later(takesMs, () => this.step({ kind: 'historySent', link: output.link }));
      }
      case 'searchLog':
        return this.#onDisk(20, () => this.#searchLog(output));
      case 'sendLog':
        return this.#sendLog(output);
      case 'receiveSnapshot':
        this.#receiving = output.link;
        return around.onSnapshotAwaited(this);
      default:
        return; // what serves clients
    }
  }

  #send(link: LinkId, message: QuorumMessage): void {
    this.#around.mark(message.kind);
    this.#around.send(this, link, { arrived: (to, toLink) => to.#onMessage(toLink, message) });
  }

  #onMessage(link: LinkId, message: QuorumMessage): void {
    this.hear(() => this.#read(() => this.step({ kind: 'message', link, message })));
  }

  /** Nothing is read from the leader while the history is being changed. */
  #read(run: () => void): void {
    if (this.#unread === undefined) run();
    else this.#unread.push(run);
  }

  #onChanged(input: Input): void {
    const unread = this.#unread ?? [];
    this.#unread = undefined;
    this.#around.observer.onHistoryChanged(this);
    this.step(input);
    for (const run of unread) this.#read(run);
  }

  /** Sometimes it doesn't go back so far, or has too much. */
  #searchLog({ link, zxid, upTo }: Extract<Output, { kind: 'searchLog' }>): void {
    const index = this.log.findLastIndex((entry) => entry.zxid <= zxid);
    const [last, next] = this.log.slice(Math.max(index, 0));
    const isThere = index >= 0 && last !== undefined && next !== undefined && next.zxid <= upTo;
    const isDeclined = last?.zxid === zxid && this.#around.between(0, 1) === 0;
    const place = isThere && !isDeclined ? { last: last.zxid, next: next.zxid } : undefined;
    if (place !== undefined) this.#around.mark(place.last === zxid ? 'found in the log' : 'not in the log');
    this.step({ kind: 'logSearched', link, place });
  }

  #sendLog({ link, after, upTo }: Extract<Output, { kind: 'sendLog' }>): void {
    this.#around.mark('log sent');
    if ((this.log[this.synced - 1]?.zxid ?? 0n) < upTo)
      throw new Error(`LOG-7: server ${this.id} reads what is not durable`);
    const entries = this.log.filter(({ zxid }) => zxid > after && zxid <= upTo);
    this.#onDisk(50, () => {
      for (const { zxid, value } of entries) {
        this.#send(link, { kind: 'proposal', proposal: { zxid, bytes: Buffer.from(value) } });
        this.#send(link, { kind: 'commit', zxid });
      }
      this.step({ kind: 'historySent', link });
    });
  }

  #append(entry: Entry): void {
    if (entry.zxid <= this.last) throw new Error(`LOG-1: server ${this.id} appends ${toHex(entry.zxid)} late`);
    this.log.push(entry);
    this.#later(0, () => this.#sync());
  }

  /** One at a time: what is appended meanwhile is for the next one. */
  #sync(): void {
    const last = this.log.at(-1);
    const length = this.log.length;
    if (this.#isSyncing || last === undefined || length <= this.synced) return;
    this.#isSyncing = true;
    this.#onDisk(10, () => {
      this.#isSyncing = false;
      if (this.log[length - 1] === last) {
        this.synced = Math.max(this.synced, length);
        this.step({ kind: 'synced', zxid: last.zxid });
      }
      this.#sync();
    });
  }

  #saveEpoch(which: EpochKind, epoch: Epoch): void {
    this.#onDisk(6, () => {
      const before = this.epochs[which];
      this.epochs[which] = epoch;
      this.#around.observer.onEpoch(this, which, before);
      this.step({ kind: 'epochSaved', which, epoch });
    });
  }

  #truncate(after: Zxid): void {
    const index = this.log.findIndex(({ zxid }) => zxid > after);
    if (index >= 0) this.log.length = index;
    if (this.last !== after) throw new Error(`LOG-6: server ${this.id} can't be cut behind ${toHex(after)}`);
    this.synced = Math.min(this.synced, this.log.length);
    if ((this.applied.at(-1)?.zxid ?? 0n) > after) this.#around.mark('truncated below the database');
    this.applied = [...this.log];
    this.#onChanged({ kind: 'truncated', zxid: after });
  }

  #onSnapshot(link: LinkId, contents: readonly Entry[]): void {
    this.hear(() => {
      if (this.#receiving !== link) return;
      this.#receiving = undefined;
      this.#unread = [];
      this.step({ kind: 'snapshotReceived', link });
      this.#onDisk(25, () => {
        this.log = [...contents];
        this.synced = contents.length;
        this.applied = [...contents];
        this.#onChanged({ kind: 'snapshotInstalled', zxid: this.last });
      });
    });
  }

  #trace(line: () => string): void {
    this.#around.trace(() => `server ${this.id} ${line()}`);
  }
}

const entryOf = ({ zxid, bytes }: { readonly zxid: Zxid; readonly bytes: Uint8Array }): Entry => ({
  zxid,
  value: Buffer.from(bytes).toString(),
});

const describeOutput = (output: Output): string => {
  const { kind, ...rest } = output;
  const text = JSON.stringify(rest, (_, value: unknown) => {
    if (typeof value === 'bigint') return toHex(value);
    return value instanceof Uint8Array ? Buffer.from(value).toString() : value;
  });
  return `${kind} ${text}`;
};
