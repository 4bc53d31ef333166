/**
 * How a peer and whoever drives it speak: lines in, lines out. Each that goes out is `WORD EPOCH_MS details`.
 *
 * What must always hold: the question `held` is answered at once, with what is true at that moment, whatever the peer waits for.
 */
import { createInterface } from 'node:readline';
import type { CuratorFramework } from 'zookeeper-client-ts';
import type { Held, Ownership } from 'zookeeper-recipes-ts';

/** Says something at this moment. */
export function say(word: string, ...details: readonly unknown[]): void {
  console.log([word, Date.now(), ...details].join(' '));
}

/** What the driver says, line by line. */
export class Input {
  readonly #lines: string[] = [];
  #isOver = false;
  #wake: () => void = () => undefined;
  /** What is asked for by `held`. */
  #held: Held | undefined;

  constructor() {
    const lines = createInterface({ input: process.stdin });
    lines.on('line', (line) => this.#onLine(line));
    lines.on('close', () => {
      this.#isOver = true;
      this.#wake();
    });
  }

  /** The next line; undefined when there are no more. */
  async next(): Promise<string | undefined> {
    while (this.#lines.length === 0 && !this.#isOver) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#lines.shift();
  }

  /** The lines before `close`. */
  async *commands(): AsyncGenerator<string, void> {
    for (let line = await this.next(); line !== undefined && line !== 'close'; line = await this.next()) yield line;
  }

  /** Lets so much time go by; a negative number: until a line comes. */
  async hold(ms: number): Promise<void> {
    if (ms < 0) await this.next();
    else await pause(ms);
  }

  /** Tells the token of what was granted, and when it is lost; `held` asks for it from now on. */
  watch(held: Held, parts: readonly Ownership[]): void {
    this.#held = held;
    say('TOKEN', ...parts.map(({ token }) => token));
    for (const { signal } of parts) {
      signal.addEventListener('abort', () => {
        if (signal.reason.reason !== 'RELEASED') say('LOST', signal.reason.reason);
      });
    }
  }

  #onLine(line: string): void {
    if (line === 'held') return say('HELD', this.#held?.isHeld() ?? false);
    this.#lines.push(line);
    this.#wake();
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What a command makes of its arguments. Resolves to the code that the program exits with. */
export type Command = (setting: Setting) => Promise<number>;

export interface Setting {
  readonly client: CuratorFramework;
  readonly input: Input;
  /** Behind the name of the command. */
  readonly args: readonly string[];
}

export const ExitCode = { done: 0, error: 1, usage: 2, noConnection: 3, timeout: 4 } as const;

/** The command was called with arguments that it can't make anything of. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** An argument that has to be there. */
export function required(args: readonly string[], index: number): string {
  const value = args[index];
  if (value === undefined) throw new UsageError(`argument ${index + 1} is missing`);
  return value;
}

/** A number; the other one if it isn't there. */
export function numberAt(args: readonly string[], index: number, absent: number): number {
  const text = args[index];
  const value = text === undefined ? absent : Number(text);
  if (!Number.isFinite(value)) throw new UsageError(`argument ${index + 1} is no number: ${text}`);
  return value;
}
