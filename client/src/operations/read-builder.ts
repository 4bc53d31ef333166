import type { Watcher } from '../watch/watch-registry.ts';
import type { OperationScope } from './operation-scope.ts';
import type { ReadOptions } from './read-options.ts';

/** A read with all that its answer holds, the `Stat` included. */
export type ReadOperation<Full> = (scope: OperationScope, path: string, options: ReadOptions) => Promise<Full>;

/** Fluent form of {@link ReadOptions} for getData and getChildren; `forPath` does it (Curator's `GetDataBuilder`, `GetChildrenBuilder`). */
export class ReadBuilder<Full, Result> {
  readonly #scope: OperationScope;
  readonly #read: ReadOperation<Full>;
  readonly #toResult: (full: Full) => Result;
  #options: ReadOptions;

  constructor(
    scope: OperationScope,
    read: ReadOperation<Full>,
    toResult: (full: Full) => Result,
    options: ReadOptions = {},
  ) {
    this.#scope = scope;
    this.#read = read;
    this.#toResult = toResult;
    this.#options = options;
  }

  usingWatcher(watcher: Watcher): this {
    return this.#with({ watcher });
  }

  withSignal(signal: AbortSignal): this {
    return this.#with({ signal });
  }

  /** `forPath` then resolves to the znode's `Stat` as well. */
  storingStat(): ReadBuilder<Full, Full> {
    return new ReadBuilder(this.#scope, this.#read, (full) => full, this.#options);
  }

  async forPath(path: string): Promise<Result> {
    return this.#toResult(await this.#read(this.#scope, path, this.#options));
  }

  #with(options: ReadOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }
}
