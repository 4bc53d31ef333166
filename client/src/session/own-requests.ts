/** The requests that a session makes for itself. */
import { ErrorCode, OpCode, operations, type SetWatches2Request } from 'zookeeper-protocol-ts';
import { errorFromCode } from '../errors.ts';
import type { SessionRequest } from './session-request.ts';

/** The watches of the earlier connections. If the server doesn't take them, the connection is of no use. */
export function toRestoringRequests(restored: readonly SetWatches2Request[]): SessionRequest[] {
  return restored.map((watches) => {
    const isPlain = watches.persistentWatches.length === 0 && watches.persistentRecursiveWatches.length === 0;
    const operation = isPlain ? operations.setWatches : operations.setWatches2;
    return {
      opCode: operation.opCode,
      path: undefined,
      settled: false,
      write: (writer) => operation.request.write(writer, watches),
      onReply: (err) => {
        if (err !== ErrorCode.OK) throw errorFromCode(err);
      },
      // The next connection starts over.
      onFailure: () => undefined,
    };
  });
}

/** The last one. */
export const toCloseRequest = (onClosed: () => void): SessionRequest => ({
  opCode: OpCode.closeSession,
  path: undefined,
  settled: false,
  write: () => undefined,
  onReply: onClosed,
  // The end of the connection is the end of closing: see Session.#drop.
  onFailure: () => undefined,
});
