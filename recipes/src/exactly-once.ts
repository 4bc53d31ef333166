/**
 * Transactions that are applied once, although a request whose answer was lost is sent again. A sequential create can't be made
 * idempotent by its name where the name is Curator's; so each transaction writes, besides what it is for, to a znode of our own:
 *
 *     <folder>/<uuid>      ephemeral, empty; its version is the number of transactions that were applied
 *
 * and demands the version that this client knows. If that is refused, the transaction before this one, with the same version, was
 * ours, and was applied.
 *
 * What must always hold: one transaction at a time; none is sent in another session than that of the znode. So the outcome stays
 * unknown only if the session ends, or the retry policy does, before the answer is there; then the znode is given up as well.
 */
import {
  BadVersionError,
  ConnectionLossError,
  type CuratorFramework,
  isRetryable,
  joinPath,
  type MultiResult,
  NodeExistsError,
  NoNodeError,
  randomUuid,
  SessionFailedError,
  type SessionId,
  type TransactionOp,
} from 'zookeeper-client-ts';
import { deleteNowOrLater } from './owned-znode.ts';

interface Mark {
  readonly path: string;
  readonly sessionId: SessionId;
  version: number;
}

export class ExactlyOnce {
  readonly #client: CuratorFramework;
  readonly #folder: string;
  readonly #report: (error: unknown) => void;
  #mark: Mark | undefined;

  /** @param report told what can't be cleaned up */
  constructor(client: CuratorFramework, folder: string, report: (error: unknown) => void) {
    this.#client = client;
    this.#folder = folder;
    this.#report = report;
  }

  /**
   * Applies the operations, or none. Resolves to the result of each, or to none if only their answer was lost; waits for a connection as
   * the client's retry policy does. Not to be called again before it has settled.
   * @throws what the servers refuse, with `operationCodes` whose first one is not the caller's; ConnectionLossError if the outcome is unknown
   */
  async transaction(ops: readonly TransactionOp[]): Promise<readonly MultiResult[]> {
    for (;;) {
      let isSent = false;
      let results: readonly MultiResult[] | undefined;
      try {
        await this.#client.withSession(
          async ({ client, sessionId }) => {
            const mark = await this.#markIn(client, sessionId);
            isSent = true;
            results = await this.#apply(client, mark, ops);
          },
          { mode: 'FAIL' },
        );
      } catch (error) {
        // The session may have ended after the answer.
        if (results === undefined && !(error instanceof SessionFailedError)) throw error;
        if (results === undefined && isSent) throw this.#unknown(error);
      }
      if (results !== undefined) return results;
    }
  }

  /** Takes the znode away. Resolves when it is gone; without a connection at once. */
  async close(): Promise<void> {
    const mark = this.#mark;
    this.#mark = undefined;
    if (mark !== undefined && mark.sessionId === this.#client.sessionId) {
      await deleteNowOrLater(this.#client, mark.path).catch(this.#report);
    }
  }

  async #markIn(client: CuratorFramework, sessionId: SessionId): Promise<Mark> {
    if (this.#mark?.sessionId === sessionId) return this.#mark;
    const path = joinPath(this.#folder, randomUuid(client.random));
    try {
      await client.create(path, { mode: 'EPHEMERAL', data: '', compressed: false, containers: true });
    } catch (error) {
      // The name is ours alone: the answer to our first attempt was lost.
      if (!(error instanceof NodeExistsError)) throw error;
    }
    this.#mark = { path, sessionId, version: 0 };
    return this.#mark;
  }

  async #apply(client: CuratorFramework, mark: Mark, ops: readonly TransactionOp[]): Promise<readonly MultiResult[]> {
    const { version } = mark;
    const count = client.op.setData(mark.path, '', { version, compressed: false });
    try {
      const [, ...results] = await client.transaction([count, ...ops]);
      mark.version = version + 1;
      return results;
    } catch (error) {
      if (error instanceof BadVersionError && refusedAt(error) === 0) {
        mark.version = version + 1;
        return [];
      }
      if (error instanceof NoNodeError && refusedAt(error) === 0) {
        this.#mark = undefined;
        throw this.#unknown(error);
      }
      // It may still be applied, after the next one: not if the znode is gone by then.
      if (isRetryable(error)) await this.close();
      throw error;
    }
  }

  #unknown(cause: unknown): ConnectionLossError {
    return new ConnectionLossError(
      `the session ended before it was known what became of a transaction (${this.#folder})`,
      {
        path: this.#folder,
        cause,
      },
    );
  }
}

/** Which operation of a transaction was refused; −1 if that is not said. */
export const refusedAt = ({
  code,
  operationCodes = [],
}: {
  code: string;
  operationCodes?: readonly string[] | undefined;
}): number => operationCodes.indexOf(code);
