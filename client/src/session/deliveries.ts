/**
 * What has arrived and waits to reach the user: answers and events, in the order of arrival (the event thread of
 * ZooKeeper's Java client). Nothing of the user's runs while bytes are being parsed.
 *
 * Answers settle promises, and what awaits them runs only when the present event is over. So that an event never overtakes
 * an answer that came before it, an event behind an answer waits until that answer's promises have been dealt with. An
 * answer behind an event needs no such care: the event's listeners run at once.
 */
import type { Clock } from './transport.ts';

type Delivery = { readonly kind: 'answer' | 'event'; readonly run: () => void };

export class Deliveries {
  readonly #clock: Clock;
  /** In the order of arrival. As long as what the server sends: it holds nothing that was not received or asked for. */
  #waiting: Delivery[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `run` must not throw. */
  add(kind: Delivery['kind'], run: () => void): void {
    this.#waiting.push({ kind, run });
    if (this.#waiting.length === 1) this.#clock.soon(() => this.#deliver());
  }

  #deliver(): void {
    let answered = false;
    let count = 0;
    // Deliveries that are added meanwhile go behind and are delivered as well.
    for (const { kind, run } of this.#waiting) {
      if (kind === 'event' && answered) break;
      answered = answered || kind === 'answer';
      run();
      count++;
    }
    // Only now, so that `add` did not ask for a second turn.
    this.#waiting = this.#waiting.slice(count);
    if (this.#waiting.length > 0) this.#clock.soon(() => this.#deliver());
  }
}
