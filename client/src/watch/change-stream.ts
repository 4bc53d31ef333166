/**
 * What happens to a znode or its tree as an `AsyncIterable`: the changes of a view, for loops.
 *
 * What must always hold: a call of `next()` is answered in its turn, also when the stream ends; and whichever way it ends,
 * its watch goes with it, and nothing stays at the signal.
 */
import { onAbort } from '../on-abort.ts';
import { checkSignal } from '../zookeeper-arguments.ts';
import { type TreeSelector, TreeView } from './tree-view.ts';
import { toWatchedPath, type WatchScope, WatchSubscription } from './watch-stream.ts';
import type { WatchView } from './watch-view.ts';
import type { TreeChange } from './znode-change.ts';
import { dataAspect, ZnodeView } from './znode-view.ts';

/** How to watch. */
export interface WatchStreamOptions {
  /** The znode and all below it. */
  readonly recursive?: boolean | undefined;
  /** With `recursive`: which part of the tree is wanted. The rest is neither read nor told. All of it by default. */
  readonly selector?: TreeSelector | undefined;
  /**
   * With `recursive`: keep the data of the whole tree, for the `oldNode` of changes to come. True by default; otherwise only the new of a
   * change has data.
   */
  readonly keepData?: boolean | undefined;
  /** Aborting ends the loop with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** @throws InvalidArgumentError, SchemaViolationError */
export function watchChanges(
  scope: WatchScope,
  path: string,
  { recursive = false, selector, keepData, signal }: WatchStreamOptions,
): AsyncIterable<TreeChange> {
  checkSignal(signal);
  const at = toWatchedPath(scope, path);
  return recursive
    ? new ChangeStream(scope, () => new TreeView(scope, at, { selector, keepData }), { signal })
    : new ChangeStream<TreeChange>(scope, () => new ZnodeView(at, dataAspect), { signal });
}

/**
 * The changes of a view, one for each call of `next()`: what has happened since the one before, melted into one where
 * it concerns the same path. Whoever is slow sees the latest state, and nothing is kept but the difference. Each
 * iterator has its own subscription, from the first call of `next()` on.
 */
class ChangeStream<Change> implements AsyncIterable<Change> {
  readonly #open: () => ChangeIterator<Change>;

  constructor(scope: WatchScope, makeView: () => WatchView<Change>, { signal }: { signal?: AbortSignal | undefined }) {
    this.#open = () => new ChangeIterator(scope, makeView, signal);
  }

  [Symbol.asyncIterator](): AsyncIterator<Change, undefined> {
    return this.#open();
  }
}

interface WaitingCall<Change> {
  readonly resolve: (result: IteratorResult<Change, undefined>) => void;
  readonly reject: (reason: unknown) => void;
}

class ChangeIterator<Change> implements AsyncIterator<Change, undefined> {
  readonly #scope: WatchScope;
  readonly #makeView: () => WatchView<Change>;
  readonly #signal: AbortSignal | undefined;
  #subscription: WatchSubscription<Change> | undefined;
  #forgetSignal: (() => void) | undefined;
  /** Calls of `next()` without an answer, oldest first: as many as the caller has made. */
  readonly #calls: WaitingCall<Change>[] = [];
  #isDone = false;
  /** For the next call: why it ended. */
  #failure: { readonly reason: unknown } | undefined;

  constructor(scope: WatchScope, makeView: () => WatchView<Change>, signal: AbortSignal | undefined) {
    this.#scope = scope;
    this.#makeView = makeView;
    this.#signal = signal;
  }

  next(): Promise<IteratorResult<Change, undefined>> {
    return new Promise((resolve, reject) => {
      this.#calls.push({ resolve, reject });
      this.#start();
      this.#answer();
    });
  }

  /** Ends it. Resolves when the watch has been removed. */
  async return(): Promise<IteratorResult<Change, undefined>> {
    this.#isDone = true;
    this.#failure = undefined;
    await this.#stop();
    return { done: true, value: undefined };
  }

  #start(): void {
    if (this.#isDone || this.#subscription !== undefined) return;
    const signal = this.#signal;
    if (signal?.aborted) return this.#fail(signal.reason);
    if (signal !== undefined) this.#forgetSignal = onAbort(signal, () => this.#fail(signal.reason));
    this.#subscription = new WatchSubscription(this.#scope, this.#makeView(), {
      onNews: () => this.#answer(),
      onFailure: (error) => this.#fail(error),
    });
  }

  #fail(reason: unknown): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#failure = { reason };
    // Never rejects; the watch goes while the caller is already told.
    void this.#stop();
  }

  #stop(): Promise<void> {
    this.#forgetSignal?.();
    this.#answer();
    return this.#subscription?.close() ?? Promise.resolve();
  }

  #answer(): void {
    for (let call = this.#calls[0]; call !== undefined; call = this.#calls[0]) {
      if (this.#failure !== undefined) {
        call.reject(this.#failure.reason);
        this.#failure = undefined;
      } else if (this.#isDone) {
        call.resolve({ done: true, value: undefined });
      } else {
        const change = this.#subscription?.take();
        if (change === undefined) return;
        call.resolve({ done: false, value: change });
      }
      this.#calls.shift();
    }
  }
}
