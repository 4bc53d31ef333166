/**
 * Where log lines go. An outage gives one line when it begins and one when it ends, at the levels that are on in production; each
 * attempt, retry and reason in between is at the level `debug` (CURATOR-272, CURATOR-313, CURATOR-72).
 */
import debug from 'debug';
import { InvalidArgumentError } from './errors.ts';

/** Takes lines of text: `console`, a pino logger and most others will do. It must not throw. */
export interface Logger {
  debug(line: string): void;
  info(line: string): void;
  warn(line: string): void;
  error(line: string): void;
}

/** Writes all levels to the standard error output, if the environment's `DEBUG` names this namespace (`DEBUG=zookeeper:*`). */
export function debugLogger(namespace: string): Logger {
  const write = debug(namespace);
  const log = (line: string): void => write('%s', line);
  return { debug: log, info: log, warn: log, error: log };
}

/** The lines of a part whose owner tells the essence itself: all but the errors are details. */
export const toDetails = (logger: Logger): Logger => ({
  debug: (line) => logger.debug(line),
  info: (line) => logger.debug(line),
  warn: (line) => logger.debug(line),
  error: (line) => logger.error(line),
});

/** @throws InvalidArgumentError naming the level that is missing */
export function checkLogger(logger: Logger): Logger {
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    if (typeof logger?.[level] !== 'function') throw new InvalidArgumentError('logger', `it has no method ${level}`);
  }
  return logger;
}

/** An error as a line has it; of one that nobody else hears of, with its stack. */
export const describeError = (error: unknown, { stack = false } = {}): string => {
  if (!(error instanceof Error)) return String(error);
  return (stack ? error.stack : undefined) ?? `${error.name}: ${error.message}`;
};
