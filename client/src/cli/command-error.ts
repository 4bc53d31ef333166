/**
 * How a command fails: one line, in the original's words where it has any (`CliException`, `CliWrapperException`,
 * `KeeperException.getMessage`), and the exit code of a process that ends behind it.
 */
import { ConnectionLossError, ZooKeeperError } from '../errors.ts';

/** The original's exit codes (`ExitCode`, `CliException`). */
export const ExitCode = { OK: 0, FAILED: 1, BAD_INVOCATION: 2, COMMAND_NOT_FOUND: 127 } as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** A command that can't be done as it was typed. Its message is what the user sees. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code = 'COMMAND';
  readonly exitCode: ExitCode;

  constructor(message: string, { exitCode = ExitCode.FAILED }: { exitCode?: ExitCode } = {}) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A failure as it is told. */
export interface Failure {
  /** Of {@link ZooKeeperError}, or `COMMAND` for what was typed. */
  readonly code: string;
  readonly message: string;
  readonly path?: string;
  readonly exitCode: ExitCode;
}

/** What is told of an error of a command. One that no command is meant to throw is thrown on. */
export function toFailure(error: unknown): Failure {
  if (error instanceof CommandError) return { code: error.code, message: error.message, exitCode: error.exitCode };
  if (!(error instanceof ZooKeeperError)) throw error;
  const { code, path } = error;
  return { code, message: lineOf(error), ...(path !== undefined && { path }), exitCode: ExitCode.FAILED };
}

function lineOf(error: ZooKeeperError): string {
  const { code, path } = error;
  const words = SENTENCES.get(code);
  if (words !== undefined) return path === undefined ? words : `${words}: ${path}`;
  const name = NAMES.get(code);
  if (name === undefined) return error.message;
  const line = `KeeperErrorCode = ${name}${path === undefined ? '' : ` for ${path}`}`;
  // The original leaves it to its log why no server could be reached.
  const reasons = error instanceof ConnectionLossError ? [...error.failures] : [];
  return reasons.length === 0
    ? line
    : `${line} (${reasons.map(([host, { message }]) => `${host}: ${message}`).join('; ')})`;
}

/** Codes that the original turns into a sentence, which the path ends. */
const SENTENCES: ReadonlyMap<string, string> = new Map([
  ['NO_NODE', 'Node does not exist'],
  ['NO_CHILDREN_FOR_EPHEMERALS', 'Ephemerals cannot have children'],
  ['NODE_EXISTS', 'Node already exists'],
  ['NOT_EMPTY', 'Node not empty'],
  ['NOT_READ_ONLY', 'Not a read-only call'],
  ['INVALID_ACL', 'Acl is not valid '],
  ['NO_AUTH', 'Insufficient permission '],
  ['BAD_ARGUMENTS', 'Arguments are not valid '],
  ['BAD_VERSION', 'version No is not valid '],
  ['QUOTA_EXCEEDED', 'Quota has exceeded '],
  ['EPHEMERAL_ON_LOCAL_SESSION', 'Unable to create ephemeral node on a local session'],
]);

/** Codes that the original names. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['SYSTEM_ERROR', 'SystemError'],
  ['RUNTIME_INCONSISTENCY', 'RuntimeInconsistency'],
  ['CONNECTION_LOSS', 'ConnectionLoss'],
  ['MARSHALLING_ERROR', 'MarshallingError'],
  ['UNIMPLEMENTED', 'Unimplemented'],
  ['OPERATION_TIMEOUT', 'OperationTimeout'],
  ['AUTH_FAILED', 'AuthFailed'],
  ['SESSION_EXPIRED', 'Session expired'],
  ['SESSION_MOVED', 'Session moved'],
  ['NO_WATCHER', 'No such watcher'],
  ['RECONFIG_DISABLED', 'Reconfig is disabled'],
  ['THROTTLED_OP', 'Op throttled due to high load'],
]);
