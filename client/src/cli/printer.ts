/**
 * What the shell shows. As text: the original's lines, on the original's streams. As JSON: on stdout one line for each command, in their
 * order, and one for each event of a znode; what the connection is doing goes to stderr, so that `zkcli --json get /x` is one line.
 *
 *     answer = object                                      ; what each command's has is in docs/zkcli.md
 *            | { "error": { "code", "message", "path"? } }
 *     event  = { "event": { "type", "state", "path"? } }
 */
import type { Writable } from 'node:stream';
import { EventType, eventTypeName, keeperStateName, toHex } from 'zookeeper-protocol-ts';
import type { WatchedEvent } from '../watch/watch-registry.ts';
import type { Answer } from './command.ts';
import type { Failure } from './command-error.ts';

export interface Streams {
  readonly output: Writable;
  readonly error: Writable;
}

export interface Printer {
  /** What is said of the shell itself. */
  greet(line: string): void;
  answer(answer: Answer): void;
  /** `usage` is shown before a failure that more of it may mend. */
  failure(failure: Failure, usage: readonly string[]): void;
  event(event: WatchedEvent): void;
}

export const textPrinter = ({ output, error }: Streams): Printer => ({
  greet: (line) => print(output, [line]),
  answer: ({ out = [], err = [] }) => {
    print(error, err);
    print(output, out);
  },
  failure: ({ message }, usage) => print(error, [...usage, message]),
  event: (event) => print(output, ['', 'WATCHER::', '', eventText(event)]),
});

export const jsonPrinter = ({ output, error }: Streams): Printer => ({
  greet: () => undefined,
  answer: ({ json }) => print(output, [toJson(json)]),
  failure: ({ exitCode: _, ...told }) => print(output, [toJson({ error: told })]),
  event: ({ type, state, path }) => {
    const told = { type: typeName(type), state: stateName(state) };
    if (type === EventType.None) print(error, [toJson({ event: told })]);
    else print(output, [toJson({ event: { ...told, path } })]);
  },
});

function print(stream: Writable, lines: readonly string[]): void {
  if (lines.length > 0) stream.write(`${lines.join('\n')}\n`);
}

/** As Java prints a `WatchedEvent`. */
const eventText = ({ type, state, path }: WatchedEvent): string =>
  `WatchedEvent state:${stateName(state)} type:${typeName(type)} path:${type === EventType.None ? 'null' : path}`;

const typeName = (type: number): string => eventTypeName(type) ?? String(type);
const stateName = (state: number): string => keeperStateName(state) ?? String(state);

const toJson = (value: object): string =>
  JSON.stringify(value, (_key, field: unknown) => (typeof field === 'bigint' ? toHex(field) : field));
