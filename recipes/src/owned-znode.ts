/**
 * The znode that ownership rests on: ephemeral, made by us, and watched while something is held.
 *
 * What must always hold:
 * - Granted is only what an answer to the znode's own session has shown to be there (CURATOR-604, 620, 653, 696).
 * - While it is held it is watched, or the request for the watch is on its way: that somebody else deletes it ends what is
 *   held. There is one watch at a time, and who waits has set it before (`confirm`).
 * - Once given up it grants nothing more, although it may still be there until the servers can be told (CURATOR-678). Its name
 *   was ours alone, so deleting it late can't hit another's.
 */
import {
  ClientClosedError,
  ConnectionLossError,
  type CreatedZnode,
  type CuratorFramework,
  EventType,
  isRetryable,
  NoNodeError,
  type SessionId,
  type WatchedEvent,
  type ZnodeData,
  type Zxid,
} from 'zookeeper-client-ts';
import { Ownership, OwnershipLostError, type OwnershipLostReason } from './ownership.ts';

export interface OwnedZnodeOptions {
  /** What the holder calls itself. */
  readonly id: string;
  /** Of the znode whose place in line it takes over. Its own czxid by default. */
  readonly token?: Zxid | undefined;
  /** Hears of the data of the znode whenever they are read: before a grant or soon after it, and after each change while it is held. */
  readonly onData?: ((data: Buffer) => void) | undefined;
}

/** An ephemeral znode that this process has created, on which ownership can be granted, again and again, while it lives. */
export class OwnedZnode {
  readonly path: string;
  /** The session that it lives and dies with. */
  readonly sessionId: SessionId;
  readonly #client: CuratorFramework;
  readonly #id: string;
  readonly #token: Zxid;
  readonly #onData: ((data: Buffer) => void) | undefined;
  /** Handles of the latest claim that have not been released. Those of the claims before have ended. */
  readonly #handles = new Set<Ownership>();
  /** One watch at a time: it outlives outages and claims, so asking for another each time would pile them up. */
  #isWatched = false;
  /** Present from when we have given the znode up, although it may still be there. */
  #deletion: Promise<void> | undefined;

  constructor(client: CuratorFramework, { path, stat }: CreatedZnode, { id, token, onData }: OwnedZnodeOptions) {
    this.#client = client;
    this.path = path;
    this.sessionId = stat.ephemeralOwner;
    this.#token = token ?? stat.czxid;
    this.#id = id;
    this.#onData = onData;
  }

  /**
   * Whether its watch is set, or on its way. Once {@link confirm} has said that it is there, and as long as this is true, whatever the server tells
   * the session of other znodes it tells while this one is there: events come in the order of the changes.
   */
  get isWatched(): boolean {
    return this.#isWatched;
  }

  /** {@link confirm}, then {@link grant}. Undefined if there is nothing to be granted. */
  async claim({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<Ownership | undefined> {
    this.#endGrant();
    return (await this.confirm({ signal })) ? this.grant() : undefined;
  }

  /** Asks the server for the znode and for a watch on it. False if it is gone. */
  async confirm({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<boolean> {
    let found = await this.#readAndWatch(signal);
    // The watch fired before we got to see the answer, which is thereby out of date.
    while (found !== undefined && !this.#isWatched) found = await this.#readAndWatch(signal);
    return found !== undefined;
  }

  /**
   * A new handle; those of earlier grants end. For who has just seen that the znode is there, in what the server has told its session: by
   * {@link confirm}, in a list that was read after it was created, or by an event while it {@link isWatched}. Where no watch is set, that
   * request leaves now, and the handle ends if it finds the znode gone. Undefined if the znode was given up, or belongs to a session that isn't the
   * present one: after a session is lost on this side, the server may show its znodes for a while (CURATOR-604, 696). The
   * handle has already ended if the connection broke meanwhile.
   */
  grant(): Ownership | undefined {
    this.#endGrant();
    if (this.sessionId !== this.#client.sessionId || this.#deletion !== undefined) return undefined;
    const ownership = this.#newHandle();
    if (!this.#isWatched) this.#lookAgain();
    return ownership;
  }

  /**
   * Another handle beside those that there are, for an owner that enters again. The znode goes with the last one that is
   * released.
   * @throws OwnershipLostError if none is held at this moment
   */
  share(): Ownership {
    if (!this.#isHeld()) throw new OwnershipLostError(this.path, 'RELEASED');
    return this.#newHandle();
  }

  /**
   * Ends all handles and deletes the znode, whichever session it belongs to. Can't be cancelled (CURATOR-205). Settles as
   * {@link Ownership.release} does.
   */
  delete(): Promise<void> {
    this.#deletion ??= this.#delete();
    return this.#deletion;
  }

  #newHandle(): Ownership {
    const handle = new Ownership({
      client: this.#client,
      path: this.path,
      token: this.#token,
      sessionId: this.sessionId,
      id: this.#id,
      // A handle of an earlier grant has nothing to give back: the znode now carries the present ones.
      release: async () => {
        if (this.#handles.delete(handle) && this.#handles.size === 0) await this.delete();
      },
    });
    this.#handles.add(handle);
    return handle;
  }

  /** The handles still stand for their holders: the znode waits until they are released. */
  #end(reason: OwnershipLostReason): void {
    for (const handle of [...this.#handles]) handle.end(reason);
  }

  #endGrant(): void {
    this.#end('RELEASED');
    this.#handles.clear();
  }

  #isHeld(): boolean {
    return [...this.#handles].some((handle) => handle.isHeld());
  }

  async #delete(): Promise<void> {
    this.#endGrant();
    await deleteNowOrLater(this.#client, this.path);
  }

  /** Undefined if there is no such znode. */
  async #readAndWatch(signal?: AbortSignal): Promise<ZnodeData | undefined> {
    const options = { ...(signal && { signal }), ...(!this.#isWatched && { watcher: this.#onEvent }) };
    const wasWatched = this.#isWatched;
    // Before the request, so that an event that overtakes our waking up is not forgotten.
    this.#isWatched = true;
    try {
      const found = await this.#client.getData(this.path, options);
      this.#onData?.(found.data);
      return found;
    } catch (error) {
      if (!wasWatched) this.#isWatched = false;
      if (error instanceof NoNodeError) return undefined;
      throw error;
    }
  }

  readonly #onEvent = (event: WatchedEvent): void => {
    // Connection events don't use up the watch; the handles learn of them from the client's state.
    if (event.type === EventType.None) return;
    this.#isWatched = false;
    if (event.type === EventType.NodeDeleted) this.#end('NODE_DELETED');
    else if (this.#isHeld()) this.#lookAgain();
  };

  /** Nothing watches our znode (any more), and it is held: reads it and asks for a watch, while its holders go on. */
  #lookAgain(): void {
    this.#readAndWatch().then(
      (found) => {
        if (found === undefined) this.#end('NODE_DELETED');
      },
      // Without a watch we would not see it deleted, so it isn't safely ours; the recipe may claim it again.
      () => {
        if (!this.#isWatched) this.#end('UNVERIFIED');
      },
    );
  }
}

/**
 * Deletes a znode of ours that nobody else would make again. Resolves when it is gone; without a connection at once, and then
 * the client deletes it when it has one again. Rejects only with what the server refused.
 */
export async function deleteNowOrLater(client: CuratorFramework, path: string): Promise<void> {
  // A closed client has closed its session, and the server has deleted its ephemerals with it.
  if (client.lifecycle === 'STOPPED') return;
  // Whoever gives something up can't hurry the servers: without a connection the client finishes it in the background.
  const offline = new AbortController();
  const onState = () => {
    if (!client.connected) offline.abort(new ConnectionLossError(`not connected: ${path} is deleted later`));
  };
  const unsubscribe = client.on('state', onState);
  onState();
  try {
    await client.delete(path, { guaranteed: true, quietly: true, signal: offline.signal });
  } catch (error) {
    if (!isRetryable(error) && !(error instanceof ClientClosedError)) throw error;
  } finally {
    unsubscribe();
  }
}
