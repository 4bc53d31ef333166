/** Options of `CuratorFramework`, checked when a client is built: types promise more than callers keep. */
import { InvalidArgumentError } from './errors.ts';
import type { Authorization } from './framework-connection.ts';
import type { Ensemble, FrameworkOptions } from './framework-options.ts';
import { checkLogger } from './logger.ts';
import { SchemaSet } from './schema/schema-set.ts';
import { checkBoolean, checkMethods, checkMs, checkSignal, toBytes } from './zookeeper-arguments.ts';

/** @throws InvalidArgumentError naming the option and the rule */
export function checkFrameworkOptions(ensemble: Ensemble, options: FrameworkOptions): void {
  if (typeof ensemble !== 'string') checkMethods(ensemble, 'ensembleProvider', ENSEMBLE_PROVIDER);
  if (options.retry === undefined) throw new InvalidArgumentError('retryPolicy', 'it is required');
  checkMethods(options.retry, 'retryPolicy', ['nextDelayMs']);
  checkMs(options.sessionTimeoutMs ?? 1, 'sessionTimeoutMs');
  checkMs(options.connectionTimeoutMs ?? 1, 'connectionTimeoutMs');
  for (const option of ['canBeReadOnly', 'enableCompression', 'useContainerParents', 'ensembleTracker'] as const) {
    checkBoolean(options[option], option);
  }
  const { namespace, defaultData, connectionStateErrorPolicy: policy, aclProvider, compressionProvider } = options;
  if (namespace !== undefined && typeof namespace !== 'string') {
    throw new InvalidArgumentError('namespace', 'not a string');
  }
  toBytes(defaultData, 'defaultData');
  if (policy !== undefined && policy !== 'standard' && policy !== 'session') {
    throw new InvalidArgumentError('connectionStateErrorPolicy', `${String(policy)} is not standard or session`);
  }
  if (aclProvider !== undefined) checkMethods(aclProvider, 'aclProvider', ['getDefaultAcl', 'getAclForPath']);
  if (compressionProvider !== undefined) {
    checkMethods(compressionProvider, 'compressionProvider', ['compress', 'decompress']);
  }
  if (options.circuitBreaking !== undefined) checkMethods(options.circuitBreaking, 'circuitBreaking', ['nextDelayMs']);
  if (options.schemaSet !== undefined && !(options.schemaSet instanceof SchemaSet)) {
    throw new InvalidArgumentError('schemaSet', 'not a SchemaSet');
  }
  if (options.logger !== undefined) checkLogger(options.logger);
}

const ENSEMBLE_PROVIDER = ['getConnectionString', 'setConnectionString', 'updateServerListEnabled'] as const;

/** The same with copies of the secrets, as bytes. */
export function checkAuthorization(authorization: readonly Authorization[]): readonly Authorization[] {
  if (!Array.isArray(authorization)) throw new InvalidArgumentError('authorization', 'not a list');
  return authorization.map(({ scheme, auth }: Authorization) => {
    if (typeof scheme !== 'string' || scheme === '') {
      throw new InvalidArgumentError('authorization', 'without a scheme');
    }
    return { scheme, auth: Buffer.from(toBytes(auth, 'authorization')) };
  });
}

/** How long to wait, and for whom: `timeoutMs` from 0 on. */
export function checkWait({
  timeoutMs,
  signal,
}: {
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}): void {
  if (timeoutMs !== undefined) checkMs(timeoutMs, 'timeoutMs', { min: 0 });
  checkSignal(signal);
}
