/** The configuration of the ensemble: read and changed (Curator's `GetConfigBuilder`, `ReconfigBuilder`). No namespace applies. */
import { WatcherType } from 'zookeeper-protocol-ts';
import { CONFIG_PATH } from '../zookeeper.ts';
import type { ReconfigOptions as Reconfiguration } from '../zookeeper-arguments.ts';
import type { ZnodeData } from './get-data.ts';
import type { OperationScope } from './operation-scope.ts';
import { ReadBuilder } from './read-builder.ts';
import { type ReadOptions, readZnode } from './read-options.ts';

/** The text of the configuration, and its `Stat`. */
export async function getEnsembleConfig(scope: OperationScope, options: ReadOptions): Promise<ZnodeData> {
  const target = { path: CONFIG_PATH, type: WatcherType.Data };
  return readZnode(scope, target, options, (zk, call) => zk.getConfig(call));
}

/** How to change the members of the ensemble. */
export interface ReconfigOptions extends Reconfiguration {
  /** Aborting rejects with the signal's reason. A request already sent is not undone. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Changes the members of the ensemble; resolves to the new configuration. With `fromConfig`, the retry after a lost answer may reject with
 * `BadVersionError` because of its own first attempt.
 */
export async function reconfigEnsemble(scope: OperationScope, options: ReconfigOptions): Promise<ZnodeData> {
  return scope.retry((zk) => zk.reconfig(options), options.signal);
}

/** Fluent form of {@link ReadOptions} for the configuration; `forEnsemble` does it. */
export class GetConfigBuilder<Result = Buffer> extends ReadBuilder<ReadOptions> {
  readonly #toResult: (read: ZnodeData) => Result;

  constructor(scope: OperationScope, toResult: (read: ZnodeData) => Result, options: ReadOptions = {}) {
    super(scope, options);
    this.#toResult = toResult;
  }

  /** `forEnsemble` then resolves to the `Stat` as well. */
  storingStat(): GetConfigBuilder<ZnodeData> {
    return new GetConfigBuilder(this.scope, (read) => read, this.options);
  }

  async forEnsemble(): Promise<Result> {
    return this.#toResult(await getEnsembleConfig(this.scope, this.options));
  }
}

/** Fluent form of {@link ReconfigOptions}; `forEnsemble` does it. */
export class ReconfigBuilder<Result = Buffer> {
  readonly #scope: OperationScope;
  readonly #toResult: (read: ZnodeData) => Result;
  #options: ReconfigOptions;

  constructor(scope: OperationScope, toResult: (read: ZnodeData) => Result, options: ReconfigOptions = {}) {
    this.#scope = scope;
    this.#toResult = toResult;
    this.#options = options;
  }

  joining(...joining: string[]): this {
    return this.#with({ joining });
  }

  leaving(...leaving: string[]): this {
    return this.#with({ leaving });
  }

  withNewMembers(...newMembers: string[]): this {
    return this.#with({ newMembers });
  }

  fromConfig(fromConfig: bigint): this {
    return this.#with({ fromConfig });
  }

  withSignal(signal: AbortSignal): this {
    return this.#with({ signal });
  }

  /** `forEnsemble` then resolves to the `Stat` as well. */
  storingStat(): ReconfigBuilder<ZnodeData> {
    return new ReconfigBuilder(this.#scope, (read) => read, this.#options);
  }

  /** Resolves to the text of the new configuration. */
  async forEnsemble(): Promise<Result> {
    return this.#toResult(await reconfigEnsemble(this.#scope, this.#options));
  }

  #with(options: ReconfigOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }
}
