/**
 * Who offers which service, and where (Curator's `ServiceDiscovery`, of its `curator-x-discovery`). Each instance is a znode:
 *
 *     <basePath>/<name of the service>/<id of the instance>
 *
 * What must always hold: an instance that was registered here is announced in every session, with what was said of it last, until it is
 * unregistered ({@link Registration}). What others have put there and can't be read ends nothing.
 */
import { type CuratorFramework, EventSource, joinPath, NoNodeError } from 'zookeeper-client-ts';
import { type ErrorEvents, tellError } from '../error-events.ts';
import { type RecipeState, RecipeStateError } from '../recipe-state.ts';
import { DeserializationError, deserialize, type Serializer } from '../serializer.ts';
import { JsonInstanceSerializer } from './json-instance-serializer.ts';
import { Registration } from './registration.ts';
import { ServiceCache } from './service-cache.ts';
import { checkNames, type ServiceInstance } from './service-instance.ts';
import { ServiceProvider, type ServiceProviderOptions } from './service-provider.ts';

/** Where the znodes are, if not where they are by default. */
export interface DiscoveryPathConstructor {
  /** Its children are the names of the services. */
  readonly basePath: string;
  /** The znode above the instances of a service. */
  getPathForInstances(name: string): string;
}

/** How to announce. */
export interface ServiceDiscoveryOptions<T = unknown> {
  /** An instance to register on `start`. What the servers refuse of it is an `error` event. */
  readonly thisInstance?: ServiceInstance<T> | undefined;
  /** How instances are written. By default as {@link JsonInstanceSerializer} does. */
  readonly serializer?: Serializer<ServiceInstance<T>> | undefined;
  /**
   * What others write to the znode of an instance that was registered here is what is announced from then on. False by default: it is
   * written over in the next session.
   */
  readonly watchInstances?: boolean | undefined;
}

/**
 * ```ts
 * await using discovery = new ServiceDiscovery<Meta>(client, '/services').start();
 * await discovery.registerService(makeServiceInstance({ name: 'billing', port: 8080, payload: { zone: 'eu' } }));
 * await using billing = await discovery.serviceProvider('billing').start();
 * ```
 */
export class ServiceDiscovery<T = unknown> implements AsyncDisposable {
  readonly #client: CuratorFramework;
  readonly #paths: DiscoveryPathConstructor;
  readonly #serializer: Serializer<ServiceInstance<T>>;
  readonly #options: ServiceDiscoveryOptions<T>;
  readonly #events = new EventSource<ErrorEvents>();
  /** By path, until their znodes are gone. */
  readonly #registrations = new Map<string, Registration<T>>();
  /** Those that are not closed. */
  readonly #caches = new Set<ServiceCache<T>>();
  #state: RecipeState = 'LATENT';
  #closed: Promise<void> | undefined;

  /** @throws InvalidArgumentError if `thisInstance` has a name or an id that can't be that of a znode */
  constructor(
    client: CuratorFramework,
    basePath: string | DiscoveryPathConstructor,
    options: ServiceDiscoveryOptions<T> = {},
  ) {
    if (options.thisInstance !== undefined) checkNames(options.thisInstance);
    this.#client = client;
    this.#paths = typeof basePath === 'string' ? inFolder(basePath) : basePath;
    this.#serializer = options.serializer ?? new JsonInstanceSerializer();
    this.#options = options;
  }

  get state(): RecipeState {
    return this.#state;
  }

  /**
   * `error`: an instance could not be announced again, and it will be tried again at the next connection; somebody has deleted, or written
   * nonsense to, one that is watched; one that was asked for can't be read. Returns what removes the listener.
   */
  on(name: 'error', listener: (error: unknown) => void): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Begins. Returns at once; if the client is not started or not connected, `thisInstance` is registered when it is.
   * @throws RecipeStateError if it was started or closed before; what the serializer throws for `thisInstance`
   */
  start(): this {
    if (this.#state !== 'LATENT') {
      throw new RecipeStateError(`the service discovery of ${this.#paths.basePath} can't be started again`);
    }
    this.#state = 'STARTED';
    const { thisInstance } = this.#options;
    if (thisInstance !== undefined) this.#registrationOf(thisInstance).begin(thisInstance);
    return this;
  }

  // Offering.

  /**
   * Announces an instance until it is unregistered, or this is closed. Resolves when it is announced; without a connection that takes until
   * there is one. Rejects with what the servers refuse, with `signal.reason`, and when it is unregistered or this, or the client, closed
   * meanwhile: then it isn't announced, and won't be. One that is registered already is announced as is said now.
   * @throws InvalidArgumentError if its name or id can't be that of a znode; RecipeStateError if this isn't started, or closed; what the
   *   serializer throws
   */
  async registerService(
    instance: ServiceInstance<T>,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    this.#assertStarted();
    signal?.throwIfAborted();
    checkNames(instance);
    const isNew = this.#registrations.get(this.#pathOf(instance))?.instance === undefined;
    const registration = this.#registrationOf(instance);
    try {
      await registration.announce(instance, signal);
    } catch (error) {
      if (isNew && (registration.instance === instance || registration.instance === undefined)) {
        registration.remove().catch(this.#report);
      }
      throw error;
    }
  }

  /**
   * Announces something else of an instance that was registered here. Members of the znode that this version doesn't know stay, unless the
   * instance has its own. Settles as {@link registerService}; if it rejects, the instance stays registered, and what is announced of it is
   * uncertain until it is updated again.
   * @throws RecipeStateError if it is not registered here
   */
  async updateService(
    instance: ServiceInstance<T>,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    this.#assertStarted();
    signal?.throwIfAborted();
    const path = this.#pathOf(instance);
    const registration = this.#registrations.get(path);
    const known = registration?.instance;
    if (registration === undefined || known === undefined) {
      throw new RecipeStateError(`the instance is not registered here: ${path}`, { path });
    }
    const { otherMembers = known.otherMembers } = instance;
    await registration.announce(otherMembers === undefined ? instance : { ...instance, otherMembers }, signal);
  }

  /**
   * Ends what {@link registerService} began. Resolves when the znode is gone; without a connection at once, and it is deleted later.
   * Rejects with what the servers refuse: then it may be called again. An instance that is not registered here is none of ours.
   */
  async unregisterService(instance: Pick<ServiceInstance<T>, 'name' | 'id'>): Promise<void> {
    await this.#registrations.get(this.#pathOf(instance))?.remove();
  }

  // Asking.

  /** The names of all services that have, or had, an instance; sorted. */
  async queryForNames({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<string[]> {
    return this.#childrenOf(this.#paths.basePath, signal);
  }

  /** All instances of a service, by the names of their znodes. What can't be read is an `error` event, unless it is empty. */
  async queryForInstances(
    name: string,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ServiceInstance<T>[]> {
    const folder = this.#paths.getPathForInstances(name);
    const names = await this.#childrenOf(folder, signal);
    const found = await Promise.all(names.map((id) => this.#readOrReport(joinPath(folder, id), signal)));
    return found.flatMap((instance) => instance ?? []);
  }

  /**
   * One instance of a service, or undefined if there is none of that id (for a sequential one: with its number).
   * @throws DeserializationError if it can't be read
   */
  async queryForInstance(
    name: string,
    id: string,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ServiceInstance<T> | undefined> {
    return this.#read(joinPath(this.#paths.getPathForInstances(name), id), signal);
  }

  /** A cache of the instances of a service, to be started. It is closed with this, at the latest. */
  serviceCache(name: string): ServiceCache<T> {
    if (this.#state === 'CLOSED') {
      throw new RecipeStateError(`the service discovery of ${this.#paths.basePath} is closed`);
    }
    const cache = new ServiceCache<T>({
      client: this.#client,
      path: this.#paths.getPathForInstances(name),
      serializer: this.#serializer,
      onClose: () => void this.#caches.delete(cache),
    });
    this.#caches.add(cache);
    return cache;
  }

  /** A provider of instances of a service, to be started. It is closed with this, at the latest. */
  serviceProvider(name: string, options: ServiceProviderOptions<T> = {}): ServiceProvider<T> {
    return new ServiceProvider(this.#client, this.serviceCache(name), options);
  }

  /**
   * Unregisters all but PERMANENT instances, and closes caches and providers. Resolves when that is done; without a connection at once, and
   * the znodes are deleted later. What the servers refuse is an `error` event. May be called again.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#state = 'CLOSED';
    const ends = [...this.#registrations.values()].map((registration) =>
      registration.instance?.serviceType === 'PERMANENT' ? registration.leave() : registration.remove(),
    );
    const closed = [...this.#caches].map((cache) => cache.close());
    for (const end of await Promise.allSettled([...ends, ...closed])) {
      if (end.status === 'rejected') this.#report(end.reason);
    }
  }

  #assertStarted(): void {
    if (this.#state === 'STARTED') return;
    throw new RecipeStateError(`the service discovery of ${this.#paths.basePath} is ${this.#state}`);
  }

  #pathOf({ name, id }: Pick<ServiceInstance<T>, 'name' | 'id'>): string {
    return joinPath(this.#paths.getPathForInstances(name), id);
  }

  #registrationOf(instance: ServiceInstance<T>): Registration<T> {
    const path = this.#pathOf(instance);
    const known = this.#registrations.get(path);
    if (known !== undefined) return known;
    const registration = new Registration<T>({
      client: this.#client,
      path,
      serializer: this.#serializer,
      isWatched: this.#options.watchInstances ?? false,
      onError: this.#report,
      onEnd: () => void this.#registrations.delete(path),
    });
    this.#registrations.set(path, registration);
    return registration;
  }

  async #childrenOf(path: string, signal: AbortSignal | undefined): Promise<string[]> {
    try {
      return (await this.#client.getChildren(path, { signal })).sort();
    } catch (error) {
      if (error instanceof NoNodeError) return [];
      throw error;
    }
  }

  async #readOrReport(path: string, signal: AbortSignal | undefined): Promise<ServiceInstance<T> | undefined> {
    try {
      return await this.#read(path, signal);
    } catch (error) {
      if (!(error instanceof DeserializationError)) throw error;
      this.#report(error);
      return undefined;
    }
  }

  /** Undefined if there is no such znode, or nothing in it (CURATOR-574). */
  async #read(path: string, signal: AbortSignal | undefined): Promise<ServiceInstance<T> | undefined> {
    try {
      const { data } = await this.#client.getData(path, { signal });
      return data.length === 0 ? undefined : deserialize(this.#serializer, path, data);
    } catch (error) {
      if (error instanceof NoNodeError) return undefined;
      throw error;
    }
  }

  readonly #report = (error: unknown): void => tellError(this.#events, this.#client, error);
}

const inFolder = (basePath: string): DiscoveryPathConstructor => ({
  basePath,
  getPathForInstances: (name) => joinPath(basePath, name),
});
