/** What a session's log says of it: one line when an outage begins, with its reason, and one when it ends. */
import { KeeperState, type SessionId, toHex } from 'zookeeper-protocol-ts';
import { toReasons } from '../errors.ts';
import type { Logger } from '../logger.ts';

/** The session, as it is after the change. */
interface LoggedSession {
  readonly sessionId: SessionId;
  readonly sessionTimeoutMs: number;
  readonly server: string | undefined;
  readonly connectFailures: ReadonlyMap<string, Error>;
}

export function logSessionState(logger: Logger, state: KeeperState, zookeeper: LoggedSession): void {
  const session = `session ${toHex(zookeeper.sessionId)}`;
  switch (state) {
    case KeeperState.SyncConnected:
    case KeeperState.ConnectedReadOnly: {
      const readOnly = state === KeeperState.ConnectedReadOnly ? ' (read-only)' : '';
      const { server, sessionTimeoutMs } = zookeeper;
      return logger.info(`connected to ${server}${readOnly}, ${session}, timeout ${sessionTimeoutMs} ms`);
    }
    case KeeperState.Disconnected:
      return logger.warn(`no connection, ${session}${toReasons(zookeeper.connectFailures)}`);
    case KeeperState.AuthFailed:
      return logger.error(`the server did not accept the credentials, ${session}`);
    case KeeperState.Expired:
      return logger.warn(`${session} is over`);
    default:
      return logger.info(`${session} is closed`);
  }
}
