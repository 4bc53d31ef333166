/**
 * One of a group, which knows the others (Curator's `GroupMember`, znodes `<path>/<id>`): a {@link PersistentNode} of its own, ephemeral,
 * and a {@link PathChildrenCache} of all.
 *
 * What must always hold: whoever asks finds itself among the members, also while its znode is not there (yet, or for a moment).
 */
import { type CuratorFramework, EventSource, InvalidArgumentError, joinPath, nameOf } from 'zookeeper-client-ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import { PathChildrenCache } from './path-children-cache.ts';
import { PersistentNode } from './persistent-node.ts';
import type { RecipeState } from './recipe-state.ts';
import type { Serializer } from './serializer.ts';

/** What members say of themselves. */
export interface GroupMemberOptions<T = Uint8Array> {
  /** Of this one; the client's default data if left out. */
  readonly data?: T | undefined;
  /** How all of them say it. By default in bytes. */
  readonly serializer?: Serializer<T> | undefined;
}

/** Who is in the group: what each says of itself by its id, sorted; undefined where that can't be read. */
export type GroupMembers<T> = ReadonlyMap<string, T | undefined>;

/** Event name → the arguments of its listeners. */
export interface GroupMemberEvents<T> extends ErrorEvents {
  readonly membersChanged: readonly [members: GroupMembers<T>];
}

/**
 * ```ts
 * await using member = await new GroupMember(client, '/group', 'node-1', { data: 'host:1', serializer: string }).start();
 * member.on('membersChanged', (members) => balance([...members.keys()]));
 * ```
 */
export class GroupMember<T = Uint8Array> implements AsyncDisposable {
  readonly path: string;
  readonly id: string;
  readonly #node: PersistentNode<T>;
  readonly #cache: PathChildrenCache<T>;
  readonly #events = new EventSource<GroupMemberEvents<T>>();
  /** The cache is synced: before that, members that were always there would seem to join. */
  #isStarted = false;

  /** @param id its name among the children of the path @throws InvalidArgumentError if it is none; what the serializer throws */
  constructor(client: CuratorFramework, path: string, id: string, { data, serializer }: GroupMemberOptions<T> = {}) {
    if (id === '' || id.includes('/')) throw new InvalidArgumentError('id', `'${id}' is no name of a znode`);
    this.path = path;
    this.id = id;
    this.#node = new PersistentNode(client, joinPath(path, id), { data, serializer });
    this.#cache = new PathChildrenCache(client, path, { serializer });
    const tell = () => {
      if (this.#isStarted) this.#events.emit('membersChanged', this.getCurrentMembers());
    };
    this.#cache.on('childAdded', tell);
    this.#cache.on('childUpdated', tell);
    this.#cache.on('childRemoved', tell);
    for (const part of [this.#node, this.#cache]) part.on('error', (error) => tellError(this.#events, client, error));
  }

  get state(): RecipeState {
    return this.#node.state;
  }

  /** All members as they are known here, this one always among them. */
  getCurrentMembers(): GroupMembers<T> {
    const members = this.#cache.getCurrentData().map(({ path, value }) => [nameOf(path), value] as const);
    const shown = new Map([...members, [this.id, undefined] as const].sort(([a], [b]) => (a < b ? -1 : 1)));
    const own = this.#node.getData() ?? this.#cache.getCurrentData(joinPath(this.path, this.id))?.value;
    return shown.set(this.id, own);
  }

  /**
   * `membersChanged`: somebody came, went, or says something else. `error`: what a member says can't be read, or the servers refuse what
   * has to be done. Returns what removes the listener.
   */
  on<Name extends keyof GroupMemberEvents<T>>(
    name: Name,
    listener: (...args: GroupMemberEvents<T>[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Joins the group. Resolves to this when its znode is there and the members are known. Rejects, and leaves the group, with what the
   * servers refuse, with `signal.reason`, and when this, or the client, is closed.
   * @throws RecipeStateError if it was started or closed before
   */
  start(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<this> {
    this.#node.start();
    const started = this.#start(options);
    started.catch(() => undefined);
    return started;
  }

  /** Says something else of this member. Settles as {@link PersistentNode.setData}. */
  setThisData(value: T, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#node.setData(value, options);
  }

  /** Leaves the group. Resolves when that is done; without a connection at once. May be called again. */
  async close(): Promise<void> {
    await Promise.all([this.#cache.close(), this.#node.close()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(options: { readonly signal?: AbortSignal | undefined }): Promise<this> {
    try {
      await Promise.all([this.#node.waitForInitialCreate(options), this.#cache.start(options)]);
      this.#isStarted = true;
      return this;
    } catch (error) {
      await this.close();
      throw error;
    }
  }
}
