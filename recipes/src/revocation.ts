/**
 * Asking a holder to give its lock up (Curator's `Revoker` and `Revocable`). It is a request: the holder hears of it by the
 * `revoke` event of its lock, and does with it what it likes.
 *
 * Wire form, Curator's: the data of the holder's znode are replaced by the ASCII bytes `__REVOKE__`.
 */
import { type CuratorFramework, NoNodeError } from 'zookeeper-client-ts';

const REQUEST = Buffer.from('__REVOKE__', 'ascii');

/** Whether the data of a contender's znode are the request to give up. */
export const isRevocation = (data: Uint8Array): boolean => REQUEST.equals(data);

/**
 * Asks a holder, or one who waits, to give up. That it is gone is as good.
 * @param path of its znode, as `getParticipantNodes()` tells it
 */
export async function attemptRevoke(
  client: CuratorFramework,
  path: string,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  try {
    await client.setData(path, REQUEST, { signal });
  } catch (error) {
    if (!(error instanceof NoNodeError)) throw error;
  }
}
