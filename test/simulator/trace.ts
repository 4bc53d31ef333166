/**
 * What happened in a run, in one number: a rolling hash over (time, process, kind, length, first 16 bytes) of every event.
 * Equal hash means equal execution, so a rerun of a seed can be compared without keeping anything. The readable lines are
 * for people and are kept only on request.
 */
import { wordOf } from './random.ts';

const HASHED_BYTES = 16;
const NO_BYTES = new Uint8Array(0);

export class Trace {
  readonly #linesMax: number;
  readonly #lines: string[] = [];
  readonly #story: string[] = [];
  readonly #words = new Map<string, number>();
  #low = 0x811c9dc5;
  #high = 0x9e3779b9;
  #events = 0;

  /** @param linesMax readable lines to keep, the newest; 0 keeps only the hash */
  constructor({ linesMax = 0 }: { linesMax?: number } = {}) {
    this.#linesMax = linesMax;
  }

  /** Events recorded so far. */
  get events(): number {
    return this.#events;
  }

  /** Both lanes, as 16 hex digits. */
  get hash(): string {
    return [this.#high, this.#low].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('');
  }

  /** The newest lines, oldest first: `seconds process kind length bytes`. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Of these lines those that {@link note} has recorded: what processes log, and what is done to them. As many, so older. */
  get story(): readonly string[] {
    return this.#story;
  }

  /** An event: something arrived, a timer ran. */
  record(atUs: number, process: string, kind: string, bytes: Uint8Array = NO_BYTES): void {
    this.#hash(atUs, process, kind, bytes);
    if (this.#linesMax > 0) this.#addLine(this.#lines, `${seconds(atUs)} ${process} ${kind} ${dump(bytes)}`);
  }

  /** What a process logs, or is done to it. */
  note(atUs: number, process: string, kind: string, text = ''): void {
    this.#hash(atUs, process, kind, Buffer.from(text));
    if (this.#linesMax === 0) return;
    const line = `${seconds(atUs)} ${process} ${kind} ${text}`;
    this.#addLine(this.#lines, line);
    this.#addLine(this.#story, line);
  }

  #hash(atUs: number, process: string, kind: string, bytes: Uint8Array): void {
    this.#events++;
    this.#absorb(atUs >>> 0);
    this.#absorb(Math.floor(atUs / 0x1_0000_0000));
    this.#absorb(this.#word(process));
    this.#absorb(this.#word(kind));
    this.#absorb(bytes.length);
    const hashed = Math.min(bytes.length, HASHED_BYTES);
    for (let i = 0; i < hashed; i++) this.#absorb(bytes[i] ?? 0);
  }

  #absorb(word: number): void {
    this.#low = Math.imul(this.#low ^ word, 0x01000193);
    this.#low ^= this.#low >>> 15;
    this.#high = Math.imul(this.#high + word + (this.#low >>> 7), 0x85ebca6b);
    this.#high ^= this.#high >>> 13;
  }

  #word(name: string): number {
    const known = this.#words.get(name);
    if (known !== undefined) return known;
    const word = wordOf(name);
    this.#words.set(name, word);
    return word;
  }

  #addLine(lines: string[], line: string): void {
    lines.push(line.trimEnd());
    if (lines.length > this.#linesMax) lines.shift();
  }
}

const seconds = (us: number): string => (us / 1e6).toFixed(6);

const dump = (bytes: Uint8Array): string => {
  if (bytes.length === 0) return '';
  const start = Buffer.from(bytes.subarray(0, HASHED_BYTES)).toString('hex');
  return `${bytes.length} ${start}${bytes.length > HASHED_BYTES ? '…' : ''}`;
};
