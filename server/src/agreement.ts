import { type Epoch, type ServerId, type SessionId, toHex, type Zxid } from 'zookeeper-protocol-ts';
import type { EnsembleView } from './admin/server-view.ts';
import { ElectionConnections } from './connection/election-connections.ts';
import { QuorumStream, type QuorumStreamOwner } from './connection/quorum-stream.ts';
import { Strangers } from './connection/strangers.ts';
import { readNotification, writeNotification } from './election/notification.ts';
import type { Ensemble } from './ensemble.ts';
import type { HistoryFeed, Slices } from './history-feed.ts';
import { assertNever } from './invariant.ts';
import type { Closeable, Disk, Millis, Network, RunLog, Stream } from './ports.ts';
import type { Input, Output, QuorumPeer, Role } from './quorum-peer.ts';
import { type EpochFile, saveEpoch } from './storage/epoch-files.ts';
import type { ReceivedSnapshot } from './storage/history-change.ts';
import type { TxnLog } from './storage/txn-log.ts';
import type { StoredHistory } from './stored-history.ts';
import type { EpochKind, LinkId } from './zab/contract.ts';
import type { ZabTiming } from './zab/leader.ts';
import type { ForwardedRequest, QuorumMessage, TouchedSession } from './zab/messages.ts';
import type { Proposal } from './zab/proposal.ts';

/** What agreement decides, for the server to carry out. */
export interface AgreementUser {
  /** Committed: apply it. */
  onDeliver(proposal: Proposal): void;
  /** It will be in the log; whether it is agreed on is another matter. */
  onAppended(proposal: Proposal): void;
  /** @param id of the leader's own sync; a learner's are answered in their order */
  onSyncCompleted(id: number): void;
  /** Serve as this, or stop serving. */
  onRoleChanged(role: Role | undefined, reason: string): void;
  /** Something is to be written, to the log or to a server: flush at the end of the turn. */
  askForTurn(): void;
  /** The leader's part. */
  onAsked(link: LinkId, request: ForwardedRequest): void;
  onTouched(sessions: readonly TouchedSession[]): void;
  isSessionValid(link: LinkId, sessionId: SessionId, timeoutMs: Millis): boolean;
  /** A learner's part. */
  onRevalidated(sessionId: SessionId, isValid: boolean): void;
  takeTouched(): TouchedSession[];
  /** The disk or an invariant: the server stops. */
  onFailure(error: Error): void;
}

/** A port for the other servers can't be had; `cause` is the system's word on it. */
export class PeerPortError extends Error {
  override readonly name = 'PeerPortError';
  /** Whose line in the list of servers names the port. */
  readonly server: ServerId;

  constructor(server: ServerId, cause: Error) {
    super(cause.message, { cause });
    this.server = server;
  }
}

export interface AgreementOptions {
  readonly self: ServerId;
  readonly ensemble: Ensemble;
  readonly peer: QuorumPeer;
  readonly timing: ZabTiming;
  readonly network: Network;
  /** Where the epoch files are. */
  readonly disk: Disk;
  readonly history: StoredHistory;
  readonly runLog: RunLog;
  readonly frameBytesMax: number;
  readonly now: () => Millis;
  readonly user: AgreementUser;
}

const NO_ID = -1;
const EPOCH_FILES: Readonly<Record<EpochKind, EpochFile>> = { accepted: 'acceptedEpoch', current: 'currentEpoch' };

/**
 * Agreement on this machine: hands what happens to the state machine of `quorum-peer.ts`, and does what that answers, in order:
 * log, epoch files, streams to the other servers. It decides nothing.
 */
export class Agreement implements QuorumStreamOwner {
  readonly frameBytesMax: number;
  readonly #options: AgreementOptions;
  readonly #peer: QuorumPeer;
  readonly #user: AgreementUser;
  readonly #runLog: RunLog;
  readonly #elections: ElectionConnections | undefined;
  readonly #links = new Map<LinkId, QuorumStream>();
  readonly #strangers: Strangers<LinkId>;
  /** What learners are sent who were behind. */
  readonly #feeds = new Map<LinkId, HistoryFeed>();
  /** The one that was dialled last. */
  #toLeader: QuorumStream | undefined;
  /** Streams with something to flush at the end of the turn. */
  readonly #written = new Set<QuorumStream>();
  readonly #history: StoredHistory;
  #listener: Closeable | undefined;
  #receiving: { readonly link: LinkId; readonly snapshot: ReceivedSnapshot } | undefined;
  /** Inputs that came while outputs are carried out: they have their turn behind them. */
  readonly #inputs: Input[] = [];
  #isStepping = false;
  #isStopped = false;

  constructor(options: AgreementOptions) {
    this.#options = options;
    this.frameBytesMax = options.frameBytesMax;
    this.#peer = options.peer;
    this.#history = options.history;
    this.#user = options.user;
    this.#runLog = options.runLog;
    const { self, ensemble, network, runLog, now } = options;
    const { tickTimeMs, initLimit, syncLimit } = options.timing;
    this.#strangers = new Strangers(initLimit * tickTimeMs);
    if (ensemble.isAlone) return;
    const onMessage = (from: ServerId, bytes: Uint8Array) => {
      this.step({ kind: 'notification', from, notification: readNotification(bytes) });
    };
    const onUnreachable = (server: ServerId): void => this.step({ kind: 'unreachable', server });
    const onStranger = (): void => this.#user.askForTurn();
    this.#elections = new ElectionConnections({
      ...{ self, ensemble, network, runLog, now, silenceMsMax: syncLimit * tickTimeMs },
      ...{ onStranger, onMessage, onUnreachable },
    });
  }

  get role(): Role | undefined {
    return this.#peer.role;
  }

  /** The zxid that the next proposal must have. */
  get nextZxid(): Zxid {
    return this.#peer.nextZxid;
  }

  /** The ensemble as this server sees it, for an administrator. */
  view(): EnsembleView | undefined {
    const { ensemble, self } = this.#options;
    if (ensemble.isAlone) return undefined;
    const { leader, zabState, reign } = this.#peer;
    const learners = [...(reign?.learners ?? [])].map(({ link, id, isVoter, phase }) => {
      return { id, isVoter, phase, connection: this.#links.get(link) };
    });
    return { ensemble, self, leader, zabState, reign: reign && { learners, pendingSyncs: reign.pendingSyncs } };
  }

  get log(): TxnLog {
    return this.#history.log;
  }

  /** @param started called once: the ports are bound, or why they can't be */
  start(started: (error: Error | null) => void): void {
    const { self, ensemble, network, now } = this.#options;
    const member = ensemble.member(self);
    const begin = (): void => {
      started(null);
      this.#perform(this.#peer.start(now()));
      // It has a deadline from here on, whether anybody else is heard or not.
      this.#user.askForTurn();
    };
    if (this.#elections === undefined || member === undefined) return begin();
    const elections = this.#elections;
    const refused = (cause: Error): void => started(new PeerPortError(self, cause));
    this.#listener = network.listen(member.quorumAddress, {
      onListening: () =>
        elections.listen(member.electionAddress, (error) => (error === null ? begin() : refused(error))),
      onFailure: refused,
      onStream: (stream) => this.#onStream(stream),
    });
  }

  step(input: Input): void {
    if (this.#isStopped) return;
    this.#inputs.push(input);
    // Deadlines may have changed, and there may be something to flush.
    this.#user.askForTurn();
    this.#drain();
  }

  /** Sends the leader what this server's clients want of it. */
  toLeader(message: QuorumMessage): void {
    this.#perform(this.#peer.toLeader(message));
  }

  toLearner(link: LinkId, message: QuorumMessage): void {
    this.#links.get(link)?.send(message);
  }

  nextDeadline(): Millis {
    const ofElections = this.#elections?.nextDeadline() ?? Number.POSITIVE_INFINITY;
    return Math.min(this.#peer.nextDeadline(), this.#strangers.nextDeadline(), ofElections);
  }

  wake(now: Millis): void {
    if (now >= this.#peer.nextDeadline()) this.step({ kind: 'tick' });
    for (const link of this.#strangers.takeOverdue(now)) this.#links.get(link)?.close('it has not said who it is');
    this.#elections?.wake(now);
  }

  /** Something for another server was written since the last {@link flush}. */
  get hasUnsent(): boolean {
    return this.#written.size > 0;
  }

  /** Writes what this turn has made. */
  flush(): void {
    if (this.#history.isOpen) this.#history.log.flush();
    for (const stream of this.#written) stream.flush();
    this.#written.clear();
    this.#regulate();
  }

  stop(reason: string): void {
    this.#isStopped = true;
    this.#listener?.close();
    this.#elections?.close();
    for (const stream of [...this.#links.values()]) stream.close(reason);
  }

  onMessage(link: LinkId, message: QuorumMessage): void {
    this.#strangers.delete(link);
    this.step({ kind: 'message', link, message });
  }

  onLinkClosed(link: LinkId, reason: string): void {
    const stream = this.#links.get(link);
    if (stream === undefined) return;
    this.#links.delete(link);
    this.#strangers.delete(link);
    this.#written.delete(stream);
    if (this.#toLeader === stream) this.#toLeader = undefined;
    this.#feeds.get(link)?.close();
    this.#feeds.delete(link);
    if (this.#isStopped) return;
    this.#runLog.info(`connection with ${stream.remote} on the quorum port ended: ${reason}`);
    if (this.#receiving?.link === link) {
      this.#receiving.snapshot.abandon();
      this.#receiving = undefined;
      this.step({ kind: 'snapshotLost' });
    }
    this.step({ kind: 'linkClosed', link });
  }

  onLinkWritten(stream: QuorumStream): void {
    this.#written.add(stream);
    this.#user.askForTurn();
  }

  onHistoryTaken(stream: QuorumStream): void {
    const { link } = stream;
    this.step({ kind: 'heard', link });
    this.#feeds.get(link)?.later(() => stream.sendMore());
  }

  onHistorySent(link: LinkId): void {
    this.step({ kind: 'historySent', link });
  }

  /** Reads no more from the leader while there is enough on its way to the disk. */
  #regulate(): void {
    const received = this.#receiving?.snapshot.queuedBytes ?? 0;
    if (this.#history.isBusy || received > RECEIVED_BYTES_MAX) this.#toLeader?.pause();
    else this.#toLeader?.resume();
  }

  #onStream(stream: Stream): QuorumStream | undefined {
    if (this.#isStopped) return undefined;
    const link = this.#peer.nextLink();
    const learner = new QuorumStream(link, this, stream, 'learner', this.#options.now());
    this.#links.set(link, learner);
    this.#strangers.add(link, this.#options.now());
    this.#user.askForTurn();
    return learner;
  }

  #drain(): void {
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined && !this.#isStopped; next = this.#inputs.shift()) {
        this.#perform(this.#peer.step(next, this.#options.now()));
      }
    } catch (error) {
      // A broken invariant stops the server: worse to answer wrongly than not at all.
      this.#user.onFailure(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#isStepping = false;
    }
  }

  #perform(outputs: readonly Output[]): void {
    for (const output of outputs) {
      if (this.#isStopped) return;
      this.#do(output);
    }
  }

  #do(output: Output): void {
    switch (output.kind) {
      case 'append':
        return this.#append(output.proposal);
      case 'deliver':
        return this.#user.onDeliver(output.proposal);
      case 'syncCompleted':
        return this.#user.onSyncCompleted(output.id);
      case 'send':
        return this.#links.get(output.link)?.send(output.message);
      case 'ask':
        return this.#user.onAsked(output.link, output.request);
      case 'touch':
        return this.#user.onTouched(output.sessions);
      case 'pong':
        return this.toLearner(output.link, { kind: 'pong', zxid: output.zxid, touched: this.#user.takeTouched() });
      case 'revalidate': {
        const isValid = this.#user.isSessionValid(output.link, output.sessionId, output.timeoutMs);
        return this.toLearner(output.link, { kind: 'revalidated', sessionId: output.sessionId, isValid });
      }
      case 'revalidated':
        return this.#user.onRevalidated(output.sessionId, output.isValid);
      case 'forwardedSyncCompleted':
        return this.#user.onSyncCompleted(NO_ID);
      case 'notify':
        return this.#elections?.send(output.to, writeNotification(output.notification));
      case 'dial':
        return this.#dial(output.leader, output.link);
      case 'close':
        return this.#links.get(output.link)?.close(output.reason);
      case 'saveEpoch':
        return this.#saveEpoch(output.which, output.epoch);
      case 'truncate':
        return this.#truncate(output.after);
      case 'receiveSnapshot':
        return this.#receiveSnapshot(output.link, output.zxid);
      case 'sendSnapshot':
        return this.#sendSnapshot(output.link);
      case 'searchLog':
        return this.#searchLog(output);
      case 'sendLog':
        return this.#sendLog(output);
      case 'roleChanged':
        return this.#user.onRoleChanged(output.role, output.reason);
      default:
        return assertNever(output);
    }
  }

  #append(proposal: Proposal): void {
    this.#history.log.append(proposal.zxid, proposal.bytes);
    this.#user.onAppended(proposal);
  }

  #dial(leader: ServerId, link: LinkId): void {
    const { ensemble, network } = this.#options;
    const address = ensemble.member(leader)?.quorumAddress;
    if (address === undefined) return this.step({ kind: 'linkClosed', link });
    network.dial(address, {
      onOpened: (stream) => {
        if (this.#isStopped) return undefined;
        const toLeader = new QuorumStream(link, this, stream, 'leader');
        this.#links.set(link, toLeader);
        this.step({ kind: 'linkOpened', link });
        // An earlier attempt may come through when a later one is in use already.
        if (toLeader.isClosed) return undefined;
        this.#toLeader = toLeader;
        return toLeader;
      },
      onFailure: () => this.step({ kind: 'linkClosed', link }),
    });
  }

  #saveEpoch(which: EpochKind, epoch: Epoch): void {
    saveEpoch(this.#options.disk, EPOCH_FILES[which], epoch, (error) => {
      if (error !== null) return this.#user.onFailure(error);
      this.step({ kind: 'epochSaved', which, epoch });
    });
  }

  // --- a learner that is behind ---------------------------------------------------------------------------------------

  #feed(link: LinkId): HistoryFeed {
    let feed = this.#feeds.get(link);
    if (feed === undefined) {
      feed = this.#history.feed();
      this.#feeds.set(link, feed);
    }
    return feed;
  }

  #searchLog({ link, zxid, upTo }: Extract<Output, { kind: 'searchLog' }>): void {
    if (!this.#links.has(link)) return;
    this.#feed(link).searchLog(zxid, upTo, (place) => this.step({ kind: 'logSearched', link, place }));
  }

  #sendLog({ link, after, upTo }: Extract<Output, { kind: 'sendLog' }>): void {
    const stream = this.#links.get(link);
    if (stream === undefined) return;
    this.#runLog.info(`${stream.remote} is sent the log behind zxid ${toHex(after)} up to ${toHex(upTo)}`);
    this.#feed(link).log(after, upTo, (slices) => this.#sendHistory(link, slices));
  }

  #sendSnapshot(link: LinkId): void {
    const stream = this.#links.get(link);
    if (stream === undefined) return;
    this.#runLog.info(`${stream.remote} is sent a snapshot`);
    this.#sendHistory(link, this.#feed(link).snapshot());
  }

  #sendHistory(link: LinkId, slices: Slices): void {
    const stream = this.#links.get(link);
    if (stream === undefined) slices.return();
    else stream.sendHistory(slices);
  }

  // --- this server's history becomes the leader's ---------------------------------------------------------------------

  #truncate(after: Zxid): void {
    if (!this.#history.goesBackTo(after)) {
      // Better to come again, when the leader sends a snapshot or others have the longer history, than to be left with nothing.
      this.step({ kind: 'snapshotLost' });
      return this.#toLeader?.close(
        `the history can't be cut behind ${toHex(after)}: that is not a part of it, or only of a snapshot`,
      );
    }
    this.#history.truncate(after, () => this.step({ kind: 'truncated', zxid: after }));
    this.#regulate();
  }

  #receiveSnapshot(link: LinkId, zxid: Zxid): void {
    const snapshot = this.#history.receive(zxid, () => this.#regulate());
    const stream = this.#links.get(link);
    if (snapshot === undefined || stream === undefined) {
      snapshot?.abandon();
      this.step({ kind: 'snapshotLost' });
      stream?.close('the snapshot of the leader can not be taken in');
      return;
    }
    this.#receiving = { link, snapshot };
    stream.receiveSnapshot({
      write: (bytes) => {
        this.step({ kind: 'heard', link });
        snapshot.write(bytes);
        this.#regulate();
      },
      end: () => {
        this.#receiving = undefined;
        this.step({ kind: 'snapshotReceived', link });
        this.#history.install(snapshot, zxid, () => this.step({ kind: 'snapshotInstalled', zxid }));
        this.#regulate();
      },
    });
  }
}

/** So much of a snapshot may wait for the disk at a time. */
const RECEIVED_BYTES_MAX = 4 * 1024 * 1024;
