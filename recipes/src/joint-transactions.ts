/**
 * Small transactions that are asked for in the same turn, sent as one: they cost the servers one entry of their log instead of many. If that one is
 * refused, each is sent alone, and comes to what it would have come to by itself.
 *
 * What must always hold: nobody gets the result of another's operations. After a lost answer a joint one may be refused because of itself;
 * then each is, too, and must know how to see that, as every transaction that is sent twice.
 */
import { type CuratorFramework, isRetryable, type TransactionOp, ZooKeeperError } from 'zookeeper-client-ts';

/** How many are sent as one at most. */
const JOINED_MAX = 64;

interface Member {
  readonly ops: readonly TransactionOp[];
  readonly onSent: () => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class JointTransactions {
  readonly #client: CuratorFramework;
  #waiting: Member[] = [];
  /** How many are sent as one: fewer after a refusal, for where others interfere the next one will be refused as well. */
  #joined = JOINED_MAX;

  /** @param client that sends them, in its session if it is bound to one */
  constructor(client: CuratorFramework) {
    this.#client = client;
  }

  /**
   * Applies the operations, or none.
   * @param onSent called when they have been sent, perhaps together with others: what is sent from then on is executed behind them, unless
   *   they had to be sent again
   */
  transaction(ops: readonly TransactionOp[], onSent: () => void = () => undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ops, onSent, resolve, reject });
      if (this.#waiting.length === 1) this.#client.clock.soon(() => this.#send());
    });
  }

  #send(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    while (waiting.length > 0) void this.#sendJoined(waiting.splice(0, this.#joined));
  }

  /** Never rejects. */
  async #sendJoined(members: readonly Member[]): Promise<void> {
    const sending = this.#client.transaction(members.flatMap(({ ops }) => ops));
    for (const { onSent } of members) onSent();
    try {
      await sending;
      if (members.length === this.#joined) this.#joined = Math.min(this.#joined * 2, JOINED_MAX);
    } catch (error) {
      if (members.length > 1 && error instanceof ZooKeeperError && !isRetryable(error) && error.operationCodes) {
        this.#joined = Math.max(members.length >> 2, 1);
        for (const member of members) void this.#sendAlone(member);
      } else {
        for (const { reject } of members) reject(error);
      }
      return;
    }
    for (const { resolve } of members) resolve();
  }

  /** Never rejects. */
  async #sendAlone({ ops, resolve, reject }: Member): Promise<void> {
    try {
      await this.#client.transaction(ops);
    } catch (error) {
      return reject(error);
    }
    resolve();
  }
}
