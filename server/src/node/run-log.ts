import type { RunLog } from '../ports.ts';

export interface TextRunLogOptions {
  /** The server's number in its ensemble; a server alone has none. */
  readonly myid?: number | undefined;
  /** Takes a whole line with its end: `process.stderr`, for example. */
  readonly output: { write(line: string): unknown };
  /** The time of a line. Default: the present. */
  readonly now?: () => Date;
}

/**
 * The run log as lines of text, in the form of Apache ZooKeeper's, so that what reads those reads these:
 *
 *     2026-11-23 03:01:02,123 [myid:1] - INFO  - serving on 0.0.0.0:2181
 *
 * The time is local. An event is one line: line ends in it, which a client may have sent, are written as `\n`.
 */
export class TextRunLog implements RunLog {
  readonly #myid: string;
  readonly #output: { write(line: string): unknown };
  readonly #now: () => Date;

  constructor({ myid, output, now = () => new Date() }: TextRunLogOptions) {
    this.#myid = myid === undefined ? '' : String(myid);
    this.#output = output;
    this.#now = now;
  }

  info(line: string): void {
    this.#write('INFO ', line);
  }

  warn(line: string): void {
    this.#write('WARN ', line);
  }

  error(line: string): void {
    this.#write('ERROR', line);
  }

  #write(level: string, line: string): void {
    const text = line.replace(/\r\n|[\r\n]/g, '\\n');
    this.#output.write(`${timestamp(this.#now())} [myid:${this.#myid}] - ${level} - ${text}\n`);
  }
}

function timestamp(time: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return `${date} ${clock},${String(time.getMilliseconds()).padStart(3, '0')}`;
}
