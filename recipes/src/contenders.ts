/**
 * The line: whoever wants something that only some may have creates an ephemeral sequential znode under a common path; the
 * lowest sequence number has it, each of the others watches the nearest one that stands in its way. (ZooKeeper recipes,
 * "Locks", "Shared Locks" and "Leader Election"; Curator's `LockInternals`.) Locks and both elections stand on this file;
 * nothing of it is done twice.
 *
 * What must always hold:
 * - At most one znode of a contender is in the line, and none once its `acquire` has failed or it has left.
 * - Granted is only what the server has shown to the present session: our znode exists, belongs to that session, and nobody
 *   whom it must wait for stands in front. Being first can't be lost but with the znode: numbers only rise.
 * - Each who waits watches its own znode and one other, so a release wakes one of them and not the herd. Watches are set by
 *   getData, which leaves none behind on a znode that is already gone, as exists would.
 * - A wake-up is no conclusion: the line is read again. The exception needs no reading: the only one who stood in front has
 *   been deleted, nobody can get in front of us any more, and our own znode, which was watched before, would have been told of first.
 *
 * Requests that don't need each other's answers leave together. The server executes them in their order, so the list of
 * children that follows our create shows our znode, and whoever is first in it holds at the price of one round trip. The names
 * tell if they came otherwise: a list that doesn't show us says nothing.
 *
 * Lessons of the original: CURATOR-604, 696 (znodes of an earlier session), 724 (the path has vanished), 644 and 645 (keep
 * the place over a reconnect), 45, 79, 205 (a cancelled wait leaves nothing behind), 41 (the first error is the one thrown),
 * 307 and 211 (not being in the list is a case), 527 (a wake-up between the read and the wait).
 */
import {
  ClientClosedError,
  CreateMode,
  type CuratorFramework,
  EventType,
  isRetryable,
  joinPath,
  NoNodeError,
  nameOf,
  onAbort,
  type SessionId,
  type WatchedEvent,
} from 'zookeeper-client-ts';
import { childrenOf, isWriter, type Line, type LineName, lineUp, UnknownContenderError } from './line.ts';
import { OwnedZnode, type OwnedZnodeOptions } from './owned-znode.ts';
import type { Ownership } from './ownership.ts';
import { WakeUp } from './wake-up.ts';

export interface ContenderOptions {
  readonly lineName: LineName;
  /** What the contender calls itself. */
  readonly id: string;
  /** Content of its znode; the client's default data if left out. */
  readonly data?: Uint8Array | string | undefined;
  /** Told what must not be lost but stops nothing. */
  readonly report: (error: unknown) => void;
  /** See {@link OwnedZnodeOptions}. */
  readonly onData?: OwnedZnodeOptions['onData'];
  /** Awaited each time before it joins the line, also when it has lost a place in it. */
  readonly beforeJoining?: (() => Promise<void>) | undefined;
}

export interface AtLastOptions {
  readonly signal: AbortSignal;
  readonly onRefusal: (error: unknown) => void;
}

/** What a look at the line has shown. */
type Look =
  | { readonly kind: 'granted'; readonly ownership: Ownership }
  /** The nearest one that stands in the way of our znode. */
  | { readonly kind: 'behind'; readonly znode: OwnedZnode; readonly name: string }
  /** Nothing that counts. Whatever wakes us may change that; and the time, if there is one. */
  | { readonly kind: 'nothing'; readonly timeoutMs?: number }
  /** We stand there no more, or the list was made before we did. */
  | { readonly kind: 'again' };

/** Those who stand in our way. */
interface Ahead {
  readonly count: number;
  readonly nearest: string | undefined;
}

/** One who stands in line, with one znode or none. One `acquire` at a time. */
export class Contender {
  readonly #client: CuratorFramework;
  readonly #path: string;
  readonly #options: ContenderOptions;
  readonly #wakeUp: WakeUp;
  /** Our place. Kept over outages and while something is held. */
  #znode: OwnedZnode | undefined;
  /** Those who are in our way, as far as is known. Absent when the line is to be read (again). */
  #ahead: Ahead | undefined;
  /** The path that we watch, while the watch has not fired, and the session that the watch belongs to. */
  #watched: { readonly path: string; readonly sessionId: SessionId } | undefined;
  #strangersReported = false;

  constructor(client: CuratorFramework, path: string, options: ContenderOptions) {
    this.#client = client;
    this.#path = path;
    this.#options = options;
    this.#wakeUp = new WakeUp(client.clock);
  }

  /** Our place in line. */
  get znode(): OwnedZnode | undefined {
    return this.#znode;
  }

  /**
   * Waits until it is our turn; joins the line unless we still stand in it. Before the client is started or connected, and
   * while it is not, it just waits. Also for those who have lost something and want it again: when our znode has survived,
   * it is granted again at once.
   *
   * Rejects with `signal.reason`, with {@link ClientClosedError}, with what the server refused, or when the znode could not
   * be created within the client's retry policy. Our znode has then been deleted, or will be as soon as a server is there.
   */
  acquire({ signal }: { readonly signal: AbortSignal }): Promise<Ownership> {
    return this.#awake(signal, async () => {
      for (;;) {
        const look = await this.#nextLook(signal);
        if (look.kind === 'granted') return look.ownership;
        if (look.kind === 'behind') await this.#waitBehind(look, signal);
        else if (look.kind === 'nothing') await this.#wakeUp.sleep(look);
      }
    });
  }

  /** {@link acquire}, if that needs no waiting, neither for others nor for a connection. Otherwise leaves; then it is undefined. */
  tryAcquire({ signal }: { readonly signal: AbortSignal }): Promise<Ownership | undefined> {
    return this.#awake(signal, async () => {
      for (;;) {
        const look = await this.#nextLook(signal);
        if (look.kind === 'granted') return look.ownership;
        if (look.kind === 'again') continue;
        await this.leave();
        return undefined;
      }
    });
  }

  /**
   * {@link acquire}, again and again until it is our turn: for those who stand in line as long as they live. What can't be
   * retried (a missing permission, say) is handed to `onRefusal`, and tried again all the same, for it may be put right.
   */
  async acquireAtLast({ signal, onRefusal }: AtLastOptions): Promise<Ownership> {
    for (;;) {
      try {
        return await this.acquire({ signal });
      } catch (error) {
        if (signal.aborted || error instanceof ClientClosedError) throw error;
        if (!isRetryable(error)) onRefusal(error);
        await this.#pause(signal);
      }
    }
  }

  /** Leaves the line and gives up what is held. Can't be cancelled. Settles as {@link Ownership.release} does. */
  async leave(): Promise<void> {
    const znode = this.#znode;
    this.#znode = undefined;
    this.#ahead = undefined;
    await znode?.delete();
  }

  /** Runs `acquire` while whatever may change our situation wakes us up; if it fails, we leave. */
  async #awake<T>(signal: AbortSignal, acquire: () => Promise<T>): Promise<T> {
    const stop = [
      this.#client.on('state', this.#readAgain),
      this.#client.on('lifecycle', this.#readAgain),
      onAbort(signal, this.#wakeUp.call),
    ];
    this.#ahead = undefined;
    try {
      return await acquire();
    } catch (error) {
      // What went wrong first is what the caller must see.
      await this.leave().catch(this.#options.report);
      throw error;
    } finally {
      for (const each of stop) each();
    }
  }

  async #nextLook(signal: AbortSignal): Promise<Look> {
    // What happens from here on is noticed at the next sleep.
    this.#wakeUp.clear();
    signal.throwIfAborted();
    const look = this.#isOnline() ? await this.#look(signal) : { kind: 'nothing' as const };
    signal.throwIfAborted();
    return look;
  }

  #isOnline(): boolean {
    const { lifecycle, connected, state } = this.#client;
    if (lifecycle === 'STOPPED')
      throw new ClientClosedError(`the client was closed while waiting at ${this.#path}`, { path: this.#path });
    return connected && state !== 'READ_ONLY';
  }

  async #look(signal: AbortSignal): Promise<Look> {
    try {
      return this.#znode === undefined ? await this.#join(signal) : await this.#lookFrom(this.#znode, signal);
    } catch (error) {
      // The retry policy is at its end. If we have a place, it may be all right: look again when the connection is.
      if (this.#znode === undefined || !isRetryable(error)) throw error;
      return { kind: 'nothing', timeoutMs: PAUSE_MS };
    }
  }

  /** Joins the line. The list that is asked for in the same breath says who stands in our way. */
  async #join(signal: AbortSignal): Promise<Look> {
    const { lineName, id, data, onData, beforeJoining } = this.#options;
    if (beforeJoining !== undefined) await beforeJoining();
    const creating = this.#client
      .create()
      .withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
      .creatingParentContainersIfNeeded()
      .withProtection()
      .withSignal(signal)
      .storingStat()
      .forPath(joinPath(this.#path, lineName), data);
    const listing = this.#readLine(signal);
    // If there is no znode, there is nothing that the list could tell, not even why.
    listing.catch(() => undefined);
    const znode = new OwnedZnode(this.#client, await creating, { id, onData });
    this.#znode = znode;
    this.#ahead = this.#aheadOf(znode, await listing);
    // Listed behind its own creation, the znode needs no other confirmation.
    return this.#ahead === undefined ? { kind: 'again' } : this.#conclude(znode, this.#ahead);
  }

  async #lookFrom(znode: OwnedZnode, signal: AbortSignal): Promise<Look> {
    const known = this.#ahead;
    const ahead = known ?? this.#aheadOf(znode, await this.#readLine(signal));
    this.#ahead = ahead;
    // Not in the list, or perhaps not there any more.
    if (ahead === undefined || (known?.count === 0 && !(await this.#isThere(znode, signal)))) return this.#forsake();
    return this.#conclude(znode, ahead);
  }

  /** Whether our znode is there. Asks for it unless it is watched. */
  async #isThere(znode: OwnedZnode, signal: AbortSignal): Promise<boolean> {
    return znode.isWatched || (await znode.confirm({ signal }));
  }

  /** What our znode is good for: the server has shown that it is there, and who stands in its way. */
  #conclude(znode: OwnedZnode, { nearest }: Ahead): Look | Promise<Look> {
    if (znode.sessionId !== this.#client.sessionId) return this.#forsake();
    if (nearest !== undefined) return { kind: 'behind', znode, name: nearest };
    const ownership = znode.grant();
    if (ownership === undefined) return this.#forsake();
    // In doubt already.
    return ownership.isHeld() ? { kind: 'granted', ownership } : { kind: 'nothing', timeoutMs: PAUSE_MS };
  }

  /** Gives up a place that is no more, or not ours; what is left of it is removed. */
  async #forsake(): Promise<Look> {
    await this.leave().catch(this.#options.report);
    return { kind: 'again' };
  }

  async #readLine(signal: AbortSignal): Promise<Line> {
    return lineUp(await childrenOf(this.#client, this.#path, { signal }), this.#options.lineName);
  }

  /** Undefined if the line doesn't show us. */
  #aheadOf(znode: OwnedZnode, { names, strangers }: Line): Ahead | undefined {
    if (strangers.length > 0 && !this.#strangersReported) {
      this.#strangersReported = true;
      this.#options.report(new UnknownContenderError(this.#path, strangers));
    }
    const index = names.indexOf(nameOf(znode.path));
    if (index < 0) return undefined;
    const before = names.slice(0, index);
    // Readers pass each other.
    const inOurWay = this.#options.lineName === '__READ__' ? before.filter(isWriter) : before;
    return { count: inOurWay.length, nearest: inOurWay.at(-1) };
  }

  async #waitBehind({ znode, name }: Extract<Look, { kind: 'behind' }>, signal: AbortSignal): Promise<void> {
    try {
      // Our own first: what there is to tell of it is then told before what there is to tell of the one ahead.
      const [isThere, isAheadThere] = await Promise.all([
        this.#isThere(znode, signal),
        this.#watch(joinPath(this.#path, name), signal),
      ]);
      if (!isThere) await this.#forsake();
      else if (isAheadThere) await this.#wakeUp.sleep();
      else this.#onGone(name);
    } catch (error) {
      if (!isRetryable(error)) throw error;
      await this.#wakeUp.sleep({ timeoutMs: PAUSE_MS });
    }
  }

  /** Sees to it that we are woken when the one ahead goes; false if it has gone. */
  async #watch(path: string, signal: AbortSignal): Promise<boolean> {
    const { sessionId } = this.#client;
    // A watch that has not fired outlives outages; setting it anew at each wake-up would pile watches up.
    if (this.#watched?.path === path && this.#watched.sessionId === sessionId) return true;
    // Before the request, so that an event that overtakes its answer isn't forgotten.
    this.#watched = { path, sessionId };
    try {
      await this.#client.getData(path, { watcher: this.#onAhead, signal });
      return true;
    } catch (error) {
      this.#watched = undefined;
      if (error instanceof NoNodeError) return false;
      throw error;
    }
  }

  readonly #onAhead = (event: WatchedEvent): void => {
    if (event.type === EventType.None) return this.#readAgain();
    // Of one that we wait for no more.
    if (event.path !== this.#watched?.path) return;
    this.#watched = undefined;
    if (event.type === EventType.NodeDeleted) this.#onGone(nameOf(event.path));
    this.#wakeUp.call();
  };

  #onGone(name: string): void {
    const wasAlone = this.#ahead?.count === 1 && this.#ahead.nearest === name;
    // A writer that becomes a reader stands where it stood, in front of the writer behind it (CURATOR-621).
    this.#ahead = wasAlone && this.#options.lineName !== '__WRIT__' ? { count: 0, nearest: undefined } : undefined;
  }

  readonly #readAgain = (): void => {
    this.#ahead = undefined;
    this.#wakeUp.call();
  };

  async #pause(signal: AbortSignal): Promise<void> {
    this.#wakeUp.clear();
    signal.throwIfAborted();
    const stop = onAbort(signal, this.#wakeUp.call);
    await this.#wakeUp.sleep({ timeoutMs: PAUSE_MS });
    stop();
  }
}

/** How long to wait before looking again when nothing is certain to wake us. */
const PAUSE_MS = 1_000;
