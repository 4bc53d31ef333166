/**
 * A consumer by callback (Curator's `QueueConsumer`): one call after the other, as long as it isn't stopped, whatever goes wrong.
 *
 * What must always hold: a message is settled by what its call came to. The next call doesn't wait for that, as far as `prefetch` lets it: messages
 * that are acknowledged meanwhile share a transaction. The end waits for all.
 */
import { ClientClosedError, type Clock } from 'zookeeper-client-ts';
import type { QueueConsumer } from './queue-consumer.ts';
import type { QueueMessage, Verdict } from './queue-message.ts';
import { WakeUp } from './wake-up.ts';

/** Its messages are settled by what the call comes to. */
export type CallbackConsumer<T> = (
  value: T,
  message: Pick<QueueMessage<T>, 'path' | 'held'>,
) => void | PromiseLike<void>;

export interface MessageLoopOptions<T> {
  readonly errorMode: 'requeue' | 'delete' | 'reject';
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
  readonly newConsumer: () => QueueConsumer<T>;
  readonly onEnd: () => void;
}

/** Before the servers are asked again for what they have refused, ms. */
const REFUSED_PAUSE_MS = 5_000;

const verdictOf: Readonly<Record<MessageLoopOptions<unknown>['errorMode'], Verdict>> = {
  requeue: 'requeue',
  delete: 'ack',
  reject: 'reject',
};

export class MessageLoop<T> {
  readonly #consume: CallbackConsumer<T>;
  readonly #options: MessageLoopOptions<T>;
  readonly #wakeUp: WakeUp;
  #consumer: QueueConsumer<T>;
  #isClosed = false;
  /** What its messages are settled by. None of it rejects. */
  readonly #settling = new Set<Promise<void>>();
  #running: Promise<void> = Promise.resolve();

  constructor(consume: CallbackConsumer<T>, options: MessageLoopOptions<T>) {
    this.#consume = consume;
    this.#options = options;
    this.#wakeUp = new WakeUp(options.clock);
    this.#consumer = options.newConsumer();
  }

  start(): this {
    this.#running = this.#run();
    return this;
  }

  /** Resolves when the call that is under way is over, and all messages are settled. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#consumer.stop();
    this.#wakeUp.call();
    await this.#running;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    for (;;) {
      try {
        for await (const message of { [Symbol.asyncIterator]: () => this.#consumer }) await this.#handle(message);
        break;
      } catch (error) {
        if (this.#isClosed || error instanceof ClientClosedError) break;
        this.#options.report(error);
      }
      await this.#wakeUp.sleep({ timeoutMs: REFUSED_PAUSE_MS });
      if (this.#isClosed) break;
      await this.#endConsumer();
      this.#consumer = this.#options.newConsumer();
    }
    await this.#endConsumer();
    this.#options.onEnd();
  }

  /** It gives back what is not settled. */
  async #endConsumer(): Promise<void> {
    await Promise.all(this.#settling);
    await this.#consumer.return();
  }

  async #handle(message: QueueMessage<T>): Promise<void> {
    let verdict: Verdict = 'ack';
    try {
      const { value, path, held } = message;
      await this.#consume(value, { path, held });
    } catch (error) {
      this.#options.report(error);
      verdict = verdictOf[this.#options.errorMode];
    }
    const settling = this.#settle(message, verdict).finally(() => this.#settling.delete(settling));
    this.#settling.add(settling);
    // Its znode is gone: what is to be stored again is nowhere else.
    if (message.held === undefined) await settling;
  }

  /** Never rejects. */
  async #settle(message: QueueMessage<T>, verdict: Verdict): Promise<void> {
    try {
      await message[verdict]();
    } catch (error) {
      this.#options.report(error);
      // It may still be locked, for nobody.
      await message.held?.release();
    }
  }
}
