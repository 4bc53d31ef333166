import type { Watcher } from '../watch/watch-registry.ts';
import type { OperationScope } from './operation-scope.ts';
import type { ReadOptions } from './read-options.ts';

/** What the fluent forms of reads have in common: options that are collected call by call, a watcher and a signal among them. */
export abstract class ReadBuilder<Options extends ReadOptions> {
  protected readonly scope: OperationScope;
  protected options: Options;

  constructor(scope: OperationScope, options: Options) {
    this.scope = scope;
    this.options = options;
  }

  watched(): this {
    return this.with({ watched: true });
  }

  usingWatcher(watcher: Watcher): this {
    return this.with({ watcher });
  }

  withSignal(signal: AbortSignal): this {
    return this.with({ signal });
  }

  protected with(options: ReadOptions | Partial<Options>): this {
    this.options = { ...this.options, ...options };
    return this;
  }
}
