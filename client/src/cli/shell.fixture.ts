/** For unit tests: a shell on the fake server, and what it has printed. */
import { Writable } from 'node:stream';
import { FakeServer } from '../operations/fake-server.fixture.ts';
import { jsonPrinter, textPrinter } from './printer.ts';
import { Shell } from './shell.ts';

class Recording extends Writable {
  #text = '';

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#text += chunk.toString();
    done();
  }

  /** The lines since the last call. */
  take(): string[] {
    const lines = this.#text.split('\n').slice(0, -1);
    this.#text = '';
    return lines;
  }
}

export class ShellUnderTest {
  readonly server = new FakeServer();
  readonly output = new Recording();
  readonly error = new Recording();
  readonly shell: Shell;

  constructor({ json = false, waitsForConnection = false, up = true, paths = [] as readonly string[] } = {}) {
    this.server.up = up;
    for (const path of paths) this.server.make(path);
    const { connectString } = this.server;
    const options = { connectString, timeoutMs: 30_000, canBeReadOnly: false, waitsForConnection };
    this.shell = new Shell(options, json ? jsonPrinter(this) : textPrinter(this), this.server.ports);
  }

  /** Does a line while as much time passes as it needs, and takes what was printed. */
  async type(line: string): Promise<{ out: string[]; err: string[] }> {
    const done = this.shell.execute(line);
    await this.server.clock.advance(1000);
    await done;
    return this.printed();
  }

  printed(): { out: string[]; err: string[] } {
    return { out: this.output.take(), err: this.error.take() };
  }

  /** Connected, and nothing printed yet. */
  async connected(): Promise<this> {
    await this.server.clock.advance(1000);
    this.printed();
    return this;
  }
}
