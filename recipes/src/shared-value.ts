/**
 * A value that all share: kept here as it is on the servers, so that reading it costs nothing and never waits (Curator's `SharedValue`,
 * compatible with it on the same path).
 *
 * What must always hold:
 * - What is known is replaced by what is newer alone, by the zxid of the write: versions begin again with another znode, and wrap
 *   (CURATOR-329, 688).
 * - After every outage the znode is read again (CURATOR-311). Listeners are told of what has changed, once each time, and of nothing
 *   else. While there is no connection the value is the last one that is known (CURATOR-344); so also if the znode is deleted.
 */
import { type CuratorFramework, EventSource, NodeExistsError, type Stat, toZxid, type Zxid } from 'zookeeper-client-ts';
import { assertConditional, writeIfUnchanged } from './conditional-write.ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import { NodeCache } from './node-cache.ts';
import { type RecipeState, RecipeStateError } from './recipe-state.ts';
import { bytes, deserialize, type Serializer } from './serializer.ts';

export interface SharedValueOptions<T = Uint8Array> {
  /** What the data of the znode mean. The bytes themselves by default. */
  readonly serializer?: Serializer<T> | undefined;
}

/** A value as it was at some moment. */
export interface VersionedValue<T> {
  readonly value: T;
  /** Of the znode's data; −1 for the seed. A signed 32-bit counter that wraps. */
  readonly version: number;
  /** Of the write that made it so, its mzxid; 0 for the seed. Later values have a higher one. */
  readonly zxid: Zxid;
}

/** Event name → the arguments of its listeners. */
export interface SharedValueEvents<T> extends ErrorEvents {
  readonly change: readonly [value: VersionedValue<T>];
}

export interface SharedValueCallOptions {
  /** Aborting rejects with its reason. What was sent may be applied. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * ```ts
 * await using rates = await new SharedValue(client, '/settings/rates', { perSecond: 10 }, { serializer: json<Rates>() }).start();
 * rates.on('change', ({ value }) => apply(value));
 * const known = rates.getVersionedValue();
 * await rates.trySetValue(known, { perSecond: known.value.perSecond * 2 });
 * ```
 */
export class SharedValue<T = Uint8Array> implements AsyncDisposable {
  readonly path: string;
  readonly #client: CuratorFramework;
  readonly #serializer: Serializer<T>;
  readonly #cache: NodeCache<T>;
  readonly #events = new EventSource<SharedValueEvents<T>>();
  #current: VersionedValue<T>;
  /** The first value is what one begins with, not a change. */
  #isStarted = false;

  /** @param seed what is written if there is no znode yet */
  constructor(client: CuratorFramework, path: string, seed: T, { serializer }: SharedValueOptions<T> = {}) {
    this.#client = client;
    this.path = path;
    // Without a serializer T is what it is by default.
    this.#serializer = serializer ?? (bytes as Serializer<unknown> as Serializer<T>);
    this.#current = { value: seed, version: -1, zxid: toZxid(0n) };
    this.#cache = new NodeCache(client, path, { serializer: this.#serializer });
    this.#cache.on('nodeChanged', (node) => {
      // What can't be read was an `error` event.
      if (node?.value !== undefined) this.#adopt(node.value, node.stat);
    });
    this.#cache.on('error', this.#report);
  }

  get state(): RecipeState {
    return this.#cache.state;
  }

  /** The value as it is known here; the seed before `start` has resolved. Not to be modified. */
  getValue(): T {
    return this.#current.value;
  }

  /** The value with what {@link trySetValue} compares. */
  getVersionedValue(): VersionedValue<T> {
    return this.#current;
  }

  /**
   * `change`: there is a new value, written here or elsewhere. `error`: the data of the znode can't be read, and the value stays what it
   * was; or the servers refuse to let it be read, and that is tried again every 5 seconds. Returns what removes the listener.
   */
  on<Name extends keyof SharedValueEvents<T>>(
    name: Name,
    listener: (...args: SharedValueEvents<T>[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Resolves when the value is known; the seed is written if there is no znode. Waits until the client is started and connected.
   * Rejects, and closes it, with what the servers refuse, with a `DeserializationError`, with `signal.reason`, and when the client or this
   * is closed; with {@link RecipeStateError} when it was started or closed before.
   */
  start(options: SharedValueCallOptions = {}): Promise<this> {
    const started = this.#start(options);
    started.catch(() => undefined);
    return started;
  }

  /**
   * Writes the value, whatever there was. After a lost answer it is written again, and may then replace what somebody else wrote meanwhile.
   * @throws NoNodeError if somebody has deleted the znode
   */
  async setValue(value: T, { signal }: SharedValueCallOptions = {}): Promise<void> {
    this.#assertStarted();
    this.#adopt(value, await this.#client.setData(this.path, this.#serializer.serialize(value), { signal }));
  }

  /**
   * Writes the value if nobody has written since `previous`; false, with nothing written, if somebody has. Then what they wrote is known
   * here.
   * @param previous from {@link getVersionedValue}
   * @throws ConnectionLossError if it is unknown; IllegalTrySetVersionError if the version has wrapped to −1
   */
  async trySetValue(previous: VersionedValue<T>, value: T, { signal }: SharedValueCallOptions = {}): Promise<boolean> {
    this.#assertStarted();
    const { version, zxid } = previous;
    if (zxid !== this.#current.zxid) return false;
    assertConditional(this.path, version);
    const data = this.#serializer.serialize(value);
    const isWritten = await writeIfUnchanged(this.#client, this.path, { data, version, signal });
    // What became of it is known; if the value can't be read now, the watch brings it.
    await this.#read(signal).catch(this.#report);
    return isWritten;
  }

  /** Ends it. The value stays what it was. Resolves when its watch is gone; without a connection at once. May be called again. */
  close(): Promise<void> {
    return this.#cache.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start({ signal }: SharedValueCallOptions): Promise<this> {
    await this.#cache.start({ signal });
    try {
      if (this.#current.zxid === 0n) await this.#seed(signal);
      if (this.state === 'CLOSED')
        throw new RecipeStateError(`the value of ${this.path} is closed`, { path: this.path });
      this.#isStarted = true;
      return this;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** There was no znode, or its data can't be read, which the second read tells. */
  async #seed(signal: AbortSignal | undefined): Promise<void> {
    const data = this.#serializer.serialize(this.#current.value);
    try {
      await this.#client.create(this.path, { data, containers: true, signal });
    } catch (error) {
      if (!(error instanceof NodeExistsError)) throw error;
    }
    await this.#read(signal);
  }

  async #read(signal: AbortSignal | undefined): Promise<void> {
    const { data, stat } = await this.#client.getData(this.path, { signal });
    this.#adopt(deserialize(this.#serializer, this.path, data), stat);
  }

  #adopt(value: T, { version, mzxid }: Stat): void {
    if (mzxid <= this.#current.zxid || this.state === 'CLOSED') return;
    this.#current = { value, version, zxid: mzxid };
    if (this.#isStarted) this.#events.emit('change', this.#current);
  }

  readonly #report = (error: unknown): void => tellError(this.#events, this.#client, error);

  #assertStarted(): void {
    if (this.#isStarted && this.state === 'STARTED') return;
    throw new RecipeStateError(`the value of ${this.path} is not started, or closed`, { path: this.path });
  }
}
