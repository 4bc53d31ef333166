/** What a `CuratorFramework` is made of, and its builder (Curator's `CuratorFrameworkFactory.Builder`). */
import type { ConnectionStateErrorPolicy } from './connection-state.ts';
import type { EnsembleProvider } from './ensemble/ensemble-provider.ts';
import type { Authorization } from './framework-connection.ts';
import type { Logger } from './logger.ts';
import type { ACLProvider } from './operations/acl-provider.ts';
import type { CompressionProvider } from './operations/compression.ts';
import type { RetryPolicy } from './retry.ts';
import type { SchemaSet } from './schema/schema-set.ts';
import type { Ports } from './session/transport.ts';

/** What a client is made of, beside the connect string. */
export interface FrameworkOptions {
  /** Asked for; the server may grant another. 60 000 by default. */
  readonly sessionTimeoutMs?: number | undefined;
  /** How long an attempt waits for a connection. 15 000 by default. */
  readonly connectionTimeoutMs?: number | undefined;
  /** For `connect`, `new ExponentialBackoffRetry(1000, 3)` by default. */
  readonly retry?: RetryPolicy | undefined;
  /** Put in front of all paths; made by the client when it is first needed. `billing`, or `apps/billing`. */
  readonly namespace?: string | undefined;
  /** What create and setData write when they are given no data. Empty by default (in Curator: the host's address). */
  readonly defaultData?: Uint8Array | string | undefined;
  /**
   * After a lost connection, tell of the next one only when it has lasted to the end of a pause: how long the pauses are, and how many, is
   * for this policy to say. Calls go on at once all the same, and bad news is told at once. None by default.
   */
  readonly circuitBreaking?: RetryPolicy | undefined;
  /** What may be done with which path, checked before anything is sent. Everything by default. */
  readonly schemaSet?: SchemaSet | undefined;
  /** When recipes give up what they hold. `standard` by default. */
  readonly connectionStateErrorPolicy?: ConnectionStateErrorPolicy | undefined;
  /**
   * Who the client is, in every session. If the servers refuse it, there is an `error` event with `AuthFailedError`, the state is LOST, and
   * another session is tried every few seconds.
   */
  readonly authorization?: readonly Authorization[] | undefined;
  /** The ACLs of znodes that are made without one. Open to all by default. */
  readonly aclProvider?: ACLProvider | undefined;
  /** How data are compressed, where that is asked for. gzip by default. */
  readonly compressionProvider?: CompressionProvider | undefined;
  /** Compress what is written and decompress what is read, unless a call says otherwise. False by default. */
  readonly enableCompression?: boolean | undefined;
  /** Make do with a server that has lost its quorum, while there is no better one: state READ_ONLY. False by default. */
  readonly canBeReadOnly?: boolean | undefined;
  /** Whether parents that are asked for as containers, and namespaces, are containers. True by default. */
  readonly useContainerParents?: boolean | undefined;
  /** Follow the ensemble's own configuration: servers that join and leave. True by default. */
  readonly ensembleTracker?: boolean | undefined;
  /**
   * Takes the log lines: `console`, a pino logger. One line when an outage begins, one when it ends, one if the session is lost; each
   * attempt and retry at the level `debug`. `DEBUG=zookeeper:*` by default.
   */
  readonly logger?: Logger | undefined;
  /** Clock, network and randomness; the machine's own by default. */
  readonly ports?: Ports | undefined;
}

/** How to connect at once. */
export interface ConnectOptions extends FrameworkOptions {
  /** Aborting gives up; the client is then closed. */
  readonly signal?: AbortSignal | undefined;
}

/** The connect string, or what knows it. */
export type Ensemble = string | EnsembleProvider;

/** Makes a `CuratorFramework`. Where to connect and the retry policy are required. */
export class CuratorFrameworkBuilder<Client> {
  readonly #open: (ensemble: Ensemble, options: FrameworkOptions) => Client;
  #ensemble: Ensemble = '';
  #options: FrameworkOptions = {};

  /** For `CuratorFramework.builder()`. */
  constructor(open: (ensemble: Ensemble, options: FrameworkOptions) => Client) {
    this.#open = open;
  }

  /** `host:port,host:port/chroot`. This or {@link ensembleProvider}: the later call wins. */
  connectString(connectString: string): this {
    this.#ensemble = connectString;
    return this;
  }

  ensembleProvider(provider: EnsembleProvider): this {
    this.#ensemble = provider;
    return this;
  }

  ensembleTracker(ensembleTracker: boolean): this {
    return this.#with({ ensembleTracker });
  }

  sessionTimeoutMs(sessionTimeoutMs: number): this {
    return this.#with({ sessionTimeoutMs });
  }

  connectionTimeoutMs(connectionTimeoutMs: number): this {
    return this.#with({ connectionTimeoutMs });
  }

  retryPolicy(retry: RetryPolicy): this {
    return this.#with({ retry });
  }

  namespace(namespace: string): this {
    return this.#with({ namespace });
  }

  /** One identity, or a list of them. Each call replaces the ones before, as in Curator. */
  authorization(scheme: string, auth: Uint8Array | string): this;
  authorization(list: readonly Authorization[]): this;
  authorization(schemeOrList: string | readonly Authorization[], auth: Uint8Array | string = ''): this {
    const authorization = typeof schemeOrList === 'string' ? [{ scheme: schemeOrList, auth }] : schemeOrList;
    return this.#with({ authorization });
  }

  aclProvider(aclProvider: ACLProvider): this {
    return this.#with({ aclProvider });
  }

  compressionProvider(compressionProvider: CompressionProvider): this {
    return this.#with({ compressionProvider });
  }

  enableCompression(): this {
    return this.#with({ enableCompression: true });
  }

  canBeReadOnly(canBeReadOnly: boolean): this {
    return this.#with({ canBeReadOnly });
  }

  dontUseContainerParents(): this {
    return this.#with({ useContainerParents: false });
  }

  defaultData(defaultData: Uint8Array | string): this {
    return this.#with({ defaultData });
  }

  connectionStateErrorPolicy(connectionStateErrorPolicy: ConnectionStateErrorPolicy): this {
    return this.#with({ connectionStateErrorPolicy });
  }

  /** Curator's `connectionStateListenerManagerFactory(circuitBreaking(policy))`. */
  circuitBreaking(circuitBreaking: RetryPolicy): this {
    return this.#with({ circuitBreaking });
  }

  schemaSet(schemaSet: SchemaSet): this {
    return this.#with({ schemaSet });
  }

  logger(logger: Logger): this {
    return this.#with({ logger });
  }

  ports(ports: Ports): this {
    return this.#with({ ports });
  }

  /** @throws InvalidConnectStringError; InvalidArgumentError naming what is missing or makes no sense */
  build(): Client {
    return this.#open(this.#ensemble, this.#options);
  }

  #with(options: FrameworkOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }
}
