/**
 * The door `zookeeper-recipes-ts/rx`: recipes as Observables. They are cold: each subscription is a consumer of its own, and unsubscribing ends
 * it. `rxjs` is needed only by those who import this file.
 */
import { Observable } from 'rxjs';
import type { ConsumeOptions } from './item-queue.ts';
import type { QueueMessage } from './queue-message.ts';

/** A queue, as far as it is needed here. */
export interface ConsumableQueue<T> {
  consume(options?: ConsumeOptions): AsyncIterable<QueueMessage<T>, undefined>;
}

/**
 * The messages of a queue: `messages$(jobs, { prefetch: 8 }).pipe(mergeMap(handle, 8))`. Completes when the queue is closed; errors are those of
 * {@link ConsumableQueue.consume}. Unsubscribing gives back what is not settled.
 *
 * With delivery `at-least-once` it holds back as long as `prefetch` messages are not settled. With `at-most-once` nothing has to be settled,
 * so nothing holds it back: what its subscribers can't deal with at once waits in their memory.
 */
export function messages$<T>(queue: ConsumableQueue<T>, options: ConsumeOptions = {}): Observable<QueueMessage<T>> {
  return new Observable((subscriber) => {
    const messages = queue.consume(options)[Symbol.asyncIterator]();
    const run = async (): Promise<void> => {
      for (let next = await messages.next(); !next.done; next = await messages.next()) subscriber.next(next.value);
      subscriber.complete();
    };
    run().catch((error: unknown) => subscriber.error(error));
    return () => {
      // Never rejects; nobody can wait for it.
      void messages.return?.();
    };
  });
}
