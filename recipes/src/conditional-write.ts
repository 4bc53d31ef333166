/**
 * A write that is applied only while the znode is as it was read, and of which it is known afterwards whether it was: the ground of
 * atomic values and of `SharedValue.trySetValue`.
 *
 * A version alone is not enough. The write is applied, its answer is lost, the client sends it again, and the server refuses the second
 * one because of the first. Who takes that for somebody else's write adds twice (Curator's `DistributedAtomicLong` does); and that the
 * znode has our data at the next version says nothing either: somebody else may have written the same. So each write makes, in one
 * transaction with it, a mark with a name of its own:
 *
 *     <path>/_c_<uuid>-write      ephemeral, empty; deleted as soon as the outcome is known
 *
 * Whoever writes so must be permitted to create and delete below the znode, which for the time of a write can't be deleted.
 *
 * What must always hold: however often the transaction arrives in one session, it is applied once at most. If it is refused because of
 * the mark, it was applied before. The outcome is unknown only if the retry policy ends before there is an answer, or the session, with
 * which the mark goes; also then it is applied once at most, because of the version.
 */
import {
  BadVersionError,
  ClientClosedError,
  ConnectionLossError,
  type CuratorFramework,
  isRetryable,
  joinPath,
  NodeExistsError,
  NoNodeError,
  parentOf,
  randomUuid,
  ZooKeeperError,
} from 'zookeeper-client-ts';
import { deleteNowOrLater } from './owned-znode.ts';

export interface ConditionalWrite {
  readonly data: Uint8Array;
  /** As it was read; undefined where there was no znode, and one is to be made. */
  readonly version: number | undefined;
  /** Aborting rejects with its reason. What was sent may be applied. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The version of the znode is −1, which a write takes for "any version": it can't be made conditional. The version before that was
 * −2; it takes one unconditional write to get past it.
 */
export class IllegalTrySetVersionError extends ZooKeeperError {
  override readonly name = 'IllegalTrySetVersionError';
  override readonly code = 'ILLEGAL_TRY_SET_VERSION';
}

/** @throws IllegalTrySetVersionError */
export function assertConditional(path: string, version: number | undefined): void {
  if (version !== ANY_VERSION) return;
  throw new IllegalTrySetVersionError(`a write can't depend on version ${ANY_VERSION}, which stands for any: ${path}`, {
    path,
  });
}

const ANY_VERSION = -1;

/**
 * True if it was applied, false if it was refused because the znode has changed, has come or gone. To be called right after the znode
 * was read. Version −1 is any version.
 * @throws ConnectionLossError if it is unknown; what else the servers refuse: nothing happened
 */
export async function writeIfUnchanged(
  client: CuratorFramework,
  path: string,
  { data, version, signal }: ConditionalWrite,
): Promise<boolean> {
  const mark = joinPath(path, `_c_${randomUuid(client.random)}-write`);
  const marking = client.op.create(mark, { mode: 'EPHEMERAL', data: '', compressed: false });
  const { sessionId } = client;
  let mayBeThere = true;
  try {
    if (await isApplied()) return true;
    // With the session the mark would be gone: that it isn't there says nothing then.
    if (client.sessionId !== sessionId) throw unknownOutcome(path);
    mayBeThere = false;
    return false;
  } catch (error) {
    mayBeThere &&= !isRefused(error);
    throw error;
  } finally {
    // Not waited for: whatever this client asks for next comes behind it.
    if (mayBeThere) void cleanUp(client, mark);
  }

  async function isApplied(): Promise<boolean> {
    try {
      if (version === undefined) {
        await client.createContainers(parentOf(path), { signal });
        await client.transaction([client.op.create(path, { data }), marking], { signal });
      } else {
        await client.transaction([marking, client.op.setData(path, data, { version })], { signal });
      }
      return true;
    } catch (error) {
      if (!hasChanged(error)) throw error;
      // The refusal was put in order like any other transaction: a read behind it shows what was applied before it.
      return (await client.checkExists(mark, { signal })) !== undefined;
    }
  }
}

/** Somebody has written, or we have. */
const hasChanged = (error: unknown): boolean =>
  error instanceof BadVersionError || error instanceof NodeExistsError || error instanceof NoNodeError;

/** Neither an unknown outcome nor the caller's signal. */
const isRefused = (error: unknown): boolean =>
  error instanceof ZooKeeperError && !isRetryable(error) && !(error instanceof ClientClosedError);

const unknownOutcome = (path: string): ConnectionLossError =>
  new ConnectionLossError(`the session ended before it was known whether this was written: ${path}`, { path });

const cleanUp = (client: CuratorFramework, mark: string): Promise<void> =>
  deleteNowOrLater(client, mark).catch((error: unknown) => client.reportError(error));
