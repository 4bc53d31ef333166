/** What a session is asked: requests and credentials, and how they fail when the session is over. */
import { type JuteReader, type JuteWriter, KeeperState, type OpCode, opCodeName } from 'zookeeper-protocol-ts';
import { AuthFailedError, ClientClosedError, SessionExpiredError, type ZooKeeperError } from '../errors.ts';
import type { RequestTrace } from './request-trace.ts';

/** One request, from the call to its answer. */
export interface SessionRequest {
  readonly opCode: OpCode;
  /** The caller's path, for messages. */
  readonly path: string | undefined;
  /** Present while somebody traces requests. */
  readonly trace?: RequestTrace | undefined;
  /** The caller has given up on it: it is not sent any more, and its reply is dropped. */
  readonly settled: boolean;
  /** Writes the body. Called once for each attempt to send, which is at most one. */
  write(writer: JuteWriter): void;
  /**
   * The answer, in its place among the events: `body` is empty unless `err` is 0, and a view of the received bytes.
   * @throws MarshallingError if the body can't be read. The connection is then dropped.
   */
  onReply(err: number, body: JuteReader): void;
  onFailure(error: ZooKeeperError): void;
}

/** An identity of the connection, sent anew on each one. */
export interface Credential {
  readonly scheme: string;
  readonly auth: Uint8Array;
  /** Called on every connection. */
  onAccepted(): void;
  /** Called when the session is over. */
  onFailure(error: ZooKeeperError): void;
}

/** How a session ends. */
export type EndReason = 'closed' | 'expired' | 'authFailed';

/** As which state the end is told. */
export const END_STATE: Readonly<Record<EndReason, KeeperState>> = {
  closed: KeeperState.Closed,
  expired: KeeperState.Expired,
  authFailed: KeeperState.AuthFailed,
};

/** What a request fails with that was not answered before the end, or was made behind it. */
export function endError(reason: EndReason, request: Pick<SessionRequest, 'opCode' | 'path'>): ZooKeeperError {
  const details = { path: request.path };
  switch (reason) {
    case 'closed':
      return new ClientClosedError(`the client is closed: ${describe(request)}`, details);
    case 'expired':
      return new SessionExpiredError(`the session has expired: ${describe(request)}`, details);
    case 'authFailed':
      return new AuthFailedError(`the server did not accept the credentials: ${describe(request)}`, details);
  }
}

/** A request, in messages. */
export const describe = ({ opCode, path }: Pick<SessionRequest, 'opCode' | 'path'>): string =>
  path === undefined ? opCodeName(opCode) : `${opCodeName(opCode)} ${path}`;
