/** What a `CuratorFramework` and its views consist of, made from the options. */
import type { ConnectionStateErrorPolicy } from './connection-state.ts';
import { FixedEnsembleProvider } from './ensemble/ensemble-provider.ts';
import { checkAuthorization, checkFrameworkOptions } from './framework-arguments.ts';
import { FrameworkConnection } from './framework-connection.ts';
import type { Ensemble, FrameworkOptions } from './framework-options.ts';
import { GzipCompressionProvider } from './gzip-compression-provider.ts';
import { debugLogger } from './logger.ts';
import { type ACLProvider, openAclProvider } from './operations/acl-provider.ts';
import type { Compression } from './operations/compression.ts';
import { Namespace } from './operations/namespace.ts';
import type { WatcherRecord } from './operations/watcher-record.ts';
import { ExponentialBackoffRetry } from './retry.ts';
import type { SchemaSet } from './schema/schema-set.ts';
import { systemPorts } from './session/tcp-transport.ts';
import type { BoundSession } from './session-scope.ts';

/** What a client and its views are made of. */
export interface FrameworkParts {
  readonly connection: FrameworkConnection;
  readonly namespace: Namespace;
  readonly defaultData: Uint8Array;
  readonly errorPolicy: ConnectionStateErrorPolicy;
  readonly aclProvider: ACLProvider;
  readonly compression: Compression;
  readonly schemaSet: SchemaSet | undefined;
  /** Of a view that lives in one session alone. */
  readonly session: BoundSession | undefined;
  readonly shared: {
    readonly containers: { refused: boolean };
    readonly persistentWatches: { refused: boolean };
    /** Roots of namespaces whose znodes are known to have been made. */
    readonly namespacesMade: Set<string>;
  };
  /** Shared by the views that are made from one which removes its watches. */
  readonly watcherRecord: WatcherRecord | undefined;
  /** It neither starts nor closes the connection. */
  readonly isView: boolean;
}

/**
 * Checks the options, and puts the defaults in the place of those that are left out.
 * @throws InvalidArgumentError, InvalidConnectStringError
 */
export function makeParts(ensemble: Ensemble, options: FrameworkOptions): FrameworkParts {
  checkFrameworkOptions(ensemble, options);
  const ensembleProvider = typeof ensemble === 'string' ? new FixedEnsembleProvider(ensemble) : ensemble;
  const { sessionTimeoutMs = 60_000, connectionTimeoutMs = 15_000, ports = systemPorts() } = options;
  const { retry = new ExponentialBackoffRetry(1000, 3), logger } = options;
  if (sessionTimeoutMs < connectionTimeoutMs) {
    (logger ?? debugLogger('zookeeper:framework')).warn(
      `the session timeout, ${sessionTimeoutMs} ms, is shorter than the connection timeout, ${connectionTimeoutMs} ms`,
    );
  }
  const { namespace = '', defaultData = new Uint8Array(0), connectionStateErrorPolicy = 'standard' } = options;
  const { aclProvider = openAclProvider, compressionProvider = new GzipCompressionProvider() } = options;
  const { enableCompression = false, useContainerParents = true } = options;
  const { ensembleTracker = true, authorization = [] } = options;
  return {
    connection: new FrameworkConnection({
      ensembleProvider,
      ensembleTracker,
      authorization: checkAuthorization(authorization),
      canBeReadOnly: options.canBeReadOnly,
      sessionTimeoutMs,
      connectionTimeoutMs,
      retryPolicy: retry,
      circuitBreaking: options.circuitBreaking,
      logger,
      ports,
    }),
    namespace: new Namespace(namespace),
    defaultData: Buffer.from(defaultData),
    errorPolicy: connectionStateErrorPolicy,
    aclProvider,
    compression: { provider: compressionProvider, isDefault: enableCompression },
    schemaSet: options.schemaSet,
    session: undefined,
    shared: {
      containers: { refused: !useContainerParents },
      persistentWatches: { refused: false },
      namespacesMade: new Set(),
    },
    watcherRecord: undefined,
    isView: false,
  };
}
