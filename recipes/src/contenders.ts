/**
 * The line: whoever wants something that only one may have creates an ephemeral sequential znode under a common path; the
 * lowest sequence number has it, each of the others watches the one directly before it. (ZooKeeper recipes, "Locks" and
 * "Leader Election"; Curator's `LockInternals`.) Locks and both elections stand on this file; nothing of it is done twice.
 *
 * What must always hold:
 * - At most one znode of a contender is in the line, and none once its `acquire` has failed or it has left.
 * - Granted is only what the server has confirmed on this connection: our znode is first, exists, and its owner is the
 *   present session. Being first can't be lost but with the znode: numbers only rise.
 * - One watch per waiting contender, on its predecessor alone, so a release wakes one of them and not the herd. It is set by
 *   getData, which leaves no watch behind on a znode that is already gone, as exists would.
 * - Every wake-up, whatever its cause, leads to reading the line again, never to a conclusion.
 *
 * Znode names are Curator's, to the letter: `_c_<uuid>-lock-<10 digits>`.
 *
 * Lessons of the original: CURATOR-604, 696 (znodes of an earlier session), 724 (the path has vanished), 644 and 645 (keep
 * the place over a reconnect), 45, 79, 205 (a cancelled wait leaves nothing behind), 41 (the first error is the one thrown),
 * 307 and 211 (not being in the list is a case), 527 (a wake-up between the read and the wait).
 */
import {
  ClientClosedError,
  type Clock,
  CreateMode,
  type CuratorFramework,
  EventType,
  isRetryable,
  joinPath,
  NoNodeError,
  nameOf,
  type SessionId,
  type WatchedEvent,
  ZooKeeperError,
} from 'zookeeper-client-ts';
import { OwnedZnode, type Ownership } from './ownership.ts';

/** What names in a line begin with, after the protection: `lock-` for mutexes and LeaderSelector, `latch-` for LeaderLatch. */
export type LineName = 'lock-' | 'latch-';

/** The children of a path, told apart. */
export interface Line {
  /** Names of contenders, the first in line first. */
  readonly names: readonly string[];
  /** Children that are no contenders of this line. They neither hold nor wait. */
  readonly strangers: readonly string[];
}

/**
 * Puts contenders in their order. Known are Curator's names and ours, go-zookeeper's (32 hex digits without dashes) and
 * unprotected ones, which Curator sorts alike. The order is that of the 32-bit sequence numbers by their distance, so it
 * survives the wrap after 2147483647, as long as no contender is 2^31 znodes older than another.
 */
export function lineUp(children: readonly string[], lineName: LineName): Line {
  const contenders: { name: string; sequence: number }[] = [];
  const strangers: string[] = [];
  for (const name of children) {
    const digits = patterns[lineName].exec(name)?.[1];
    if (digits === undefined) strangers.push(name);
    else contenders.push({ name, sequence: Number(digits) });
  }
  contenders.sort((a, b) => (a.sequence - b.sequence) | 0 || (a.name < b.name ? -1 : 1));
  return { names: contenders.map(({ name }) => name), strangers };
}

const pattern = (lineName: LineName): RegExp =>
  new RegExp(
    `^(?:_c_(?:[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-)?${lineName}([0-9]{10}|-[0-9]{9,10})$`,
    'i',
  );

const patterns: Readonly<Record<LineName, RegExp>> = { 'lock-': pattern('lock-'), 'latch-': pattern('latch-') };

/**
 * Other children were found in a line. They are ignored; but if they belong to a recipe that means the same path (kazoo's
 * locks, for one), the two don't exclude each other. Reported once per contender.
 */
export class UnknownContenderError extends ZooKeeperError {
  override readonly name = 'UnknownContenderError';
  override readonly code = 'UNKNOWN_CONTENDER';
  readonly children: readonly string[];

  constructor(path: string, children: readonly string[]) {
    super(`${path} has children that are no contenders of this line: ${children.join(', ')}`, { path });
    this.children = children;
  }
}

export interface ContenderOptions {
  readonly lineName: LineName;
  /** What the contender calls itself. */
  readonly id: string;
  /** Content of its znode; the client's default data if left out. */
  readonly data?: string;
  /** Told what must not be lost but stops nothing. */
  readonly report: (error: unknown) => void;
}

export interface AtLastOptions {
  readonly signal: AbortSignal;
  readonly onRefusal: (error: unknown) => void;
}

/** One who stands in line, with one znode or none. One `acquire` at a time. */
export class Contender {
  readonly #client: CuratorFramework;
  readonly #path: string;
  readonly #options: ContenderOptions;
  readonly #wakeUp: WakeUp;
  /** Our place. Kept over outages and while something is held. */
  #znode: OwnedZnode | undefined;
  /** The predecessor's path, while our watch on it has not fired, and the session that the watch belongs to. */
  #watched: { readonly path: string; readonly sessionId: SessionId } | undefined;
  #strangersReported = false;

  constructor(client: CuratorFramework, path: string, options: ContenderOptions) {
    this.#client = client;
    this.#path = path;
    this.#options = options;
    this.#wakeUp = new WakeUp(client.clock);
  }

  /**
   * Waits until it is our turn; joins the line unless we still stand in it. Before the client is started or connected, and
   * while it is not, it just waits. Also for those who have lost something and want it again: when our znode has survived,
   * it is granted again at once.
   *
   * Rejects with `signal.reason`, with {@link ClientClosedError}, with what the server refused, or when the znode could not
   * be created within the client's retry policy. Our znode has then been deleted, or will be as soon as a server is there.
   */
  async acquire({ signal }: { readonly signal: AbortSignal }): Promise<Ownership> {
    const unsubscribe = [this.#client.on('state', this.#wakeUp.call), this.#client.on('lifecycle', this.#wakeUp.call)];
    signal.addEventListener('abort', this.#wakeUp.call);
    try {
      for (;;) {
        // What happens from here on is noticed at the next sleep.
        this.#wakeUp.clear();
        signal.throwIfAborted();
        if (this.#isOnline()) {
          const ownership = await this.#advance(signal);
          signal.throwIfAborted();
          if (ownership !== undefined) return ownership;
        } else {
          await this.#wakeUp.sleep();
        }
      }
    } catch (error) {
      // What went wrong first is what the caller must see.
      await this.leave().catch(this.#options.report);
      throw error;
    } finally {
      signal.removeEventListener('abort', this.#wakeUp.call);
      for (const stop of unsubscribe) stop();
    }
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
    await znode?.delete();
  }

  /** Looks at the line once, and sleeps unless there is a reason to look again at once. */
  async #advance(signal: AbortSignal): Promise<Ownership | undefined> {
    const znode = await this.#join(signal);
    try {
      const { names } = await this.#readLine(signal);
      const index = names.indexOf(nameOf(znode.path));
      const predecessor = names[index - 1];
      if (index < 0 || znode.sessionId !== this.#client.sessionId) {
        await this.#forsake();
      } else if (predecessor !== undefined) {
        if (await this.#watch(joinPath(this.#path, predecessor), signal)) await this.#wakeUp.sleep();
      } else {
        const ownership = await znode.claim({ signal });
        if (ownership?.isHeld()) return ownership;
        // In doubt already, or not ours after all.
        if (ownership === undefined) await this.#forsake();
        else await this.#wakeUp.sleep({ timeoutMs: PAUSE_MS });
      }
    } catch (error) {
      if (!isRetryable(error)) throw error;
      // The retry policy is at its end, but our place may be all right: look again when the connection is.
      await this.#wakeUp.sleep({ timeoutMs: PAUSE_MS });
    }
    return undefined;
  }

  async #pause(signal: AbortSignal): Promise<void> {
    this.#wakeUp.clear();
    signal.throwIfAborted();
    signal.addEventListener('abort', this.#wakeUp.call);
    await this.#wakeUp.sleep({ timeoutMs: PAUSE_MS });
    signal.removeEventListener('abort', this.#wakeUp.call);
  }

  #isOnline(): boolean {
    const { lifecycle, connected, state } = this.#client;
    if (lifecycle === 'STOPPED')
      throw new ClientClosedError(`the client was closed while waiting at ${this.#path}`, { path: this.#path });
    return connected && state !== 'READ_ONLY';
  }

  async #join(signal: AbortSignal): Promise<OwnedZnode> {
    if (this.#znode !== undefined) return this.#znode;
    const { lineName, id, data } = this.#options;
    const created = await this.#client
      .create()
      .withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
      .creatingParentContainersIfNeeded()
      .withProtection()
      .withSignal(signal)
      .storingStat()
      .forPath(joinPath(this.#path, lineName), data);
    this.#znode = new OwnedZnode(this.#client, created, { id });
    return this.#znode;
  }

  /** Gives up a place that is no more, or not ours; what is left of it is removed. */
  async #forsake(): Promise<void> {
    await this.leave().catch(this.#options.report);
  }

  async #readLine(signal: AbortSignal): Promise<Line> {
    const line = lineUp(await childrenOf(this.#client, this.#path, { signal }), this.#options.lineName);
    if (line.strangers.length > 0 && !this.#strangersReported) {
      this.#strangersReported = true;
      this.#options.report(new UnknownContenderError(this.#path, line.strangers));
    }
    return line;
  }

  /** Sees to it that we are woken when the predecessor goes; false if it has gone. */
  async #watch(path: string, signal: AbortSignal): Promise<boolean> {
    const { sessionId } = this.#client;
    // A watch that has not fired outlives outages; setting it anew at each wake-up would pile watches up.
    if (this.#watched?.path === path && this.#watched.sessionId === sessionId) return true;
    // Before the request, so that an event that overtakes its answer isn't forgotten.
    this.#watched = { path, sessionId };
    try {
      await this.#client.getData(path, { watcher: this.#onPredecessor, signal });
      return true;
    } catch (error) {
      this.#watched = undefined;
      if (error instanceof NoNodeError) return false;
      throw error;
    }
  }

  readonly #onPredecessor = (event: WatchedEvent): void => {
    if (event.type !== EventType.None && event.path === this.#watched?.path) this.#watched = undefined;
    this.#wakeUp.call();
  };
}

/** How long to wait before looking again when nothing is certain to wake us. */
const PAUSE_MS = 1_000;

/** Names of the children; none if the path doesn't exist. */
export async function childrenOf(
  client: CuratorFramework,
  path: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<string[]> {
  try {
    return await client.getChildren(path, options);
  } catch (error) {
    if (error instanceof NoNodeError) return [];
    throw error;
  }
}

/** Something to sleep on. A call that comes before the sleep, but after the last `clear`, is not lost. */
export class WakeUp {
  readonly #clock: Clock;
  #isDue = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  clear(): void {
    this.#isDue = false;
  }

  readonly call = (): void => {
    this.#isDue = true;
    this.#wake?.();
  };

  /** Sleeps until called, or for `timeoutMs`. One sleeper at a time. */
  sleep({ timeoutMs }: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (this.#isDue) return Promise.resolve();
    return new Promise((resolve) => {
      const alarm = timeoutMs === undefined ? undefined : this.#clock.after(timeoutMs, this.call);
      this.#wake = () => {
        alarm?.cancel();
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
