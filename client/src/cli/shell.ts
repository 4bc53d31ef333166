/**
 * The shell: one session at a time, commands one after the other, the events of its one watcher, and the history (the original's
 * `ZooKeeperMain`). It is a session without magic: one that has expired or been closed leaves the shell unconnected, until `connect`.
 *
 * Every command ends in exactly one answer or one failure, also when the shell is closed meanwhile.
 */
import { EventType, KeeperState } from 'zookeeper-protocol-ts';
import { ConnectionLossError } from '../errors.ts';
import { EventSource } from '../event-source.ts';
import { parseConnectString } from '../session/connect-string.ts';
import type { SessionState } from '../session/session.ts';
import type { Ports } from '../session/transport.ts';
import type { WatchedEvent, Watcher } from '../watch/watch-registry.ts';
import { ZooKeeper } from '../zookeeper.ts';
import type { Answer, ShellAccess } from './command.ts';
import { CommandError, ExitCode, toFailure } from './command-error.ts';
import { parseArguments, splitLine } from './command-line.ts';
import { commands, usageLines, usageOf } from './commands.ts';
import type { ShellOptions } from './invocation.ts';
import type { Printer } from './printer.ts';

/** How long the end of the shell waits for the server to confirm it. */
const CLOSE_PATIENCE_MS = 2000;

export class Shell implements ShellAccess, AsyncDisposable {
  printsWatches = true;
  readonly #options: ShellOptions;
  readonly #printer: Printer;
  readonly #ports: Ports | undefined;
  readonly #events = new EventSource<{ event: [] }>();
  readonly #history: string[] = [];
  /** One function for all watches: an event that matches several is printed once. */
  readonly #watcher: Watcher = (event) => {
    // Changes of the session come to the shell by themselves, once, however many watches there are.
    if (event.type !== EventType.None) this.#printEvent(event);
  };
  #connectString: string;
  #zookeeper: ZooKeeper;
  #exitCode: ExitCode = ExitCode.OK;
  #isOver = false;

  /**
   * Starts connecting.
   * @param ports the machine: TCP and the system's clock by default
   * @throws InvalidConnectStringError
   */
  constructor(options: ShellOptions, printer: Printer, ports?: Ports) {
    this.#options = options;
    this.#printer = printer;
    this.#ports = ports;
    this.#connectString = options.connectString;
    printer.greet(`Connecting to ${options.connectString}`);
    this.#zookeeper = this.#open();
  }

  /** Of the last command. */
  get exitCode(): ExitCode {
    return this.#exitCode;
  }

  /** Nothing more is to be done: it was closed. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get history(): readonly string[] {
    return this.#history;
  }

  get usage(): readonly string[] {
    return usageLines();
  }

  /** The present session, which may be over. */
  get zookeeper(): ZooKeeper {
    return this.#zookeeper;
  }

  /** `[zk: localhost:2181(CONNECTED) 3] ` */
  get prompt(): string {
    return `[zk: ${this.#connectString}(${STATE_NAMES[this.#zookeeper.state]}) ${this.#history.length}] `;
  }

  /** Calls `listener` behind every event that was printed. Returns what removes it. */
  onEvent(listener: () => void): () => void {
    return this.#events.on('event', listener);
  }

  /** With `waitsForConnection`, waits for the first one. Returns whether there is anything to go on with; if not, it has said why. */
  async isReady(): Promise<boolean> {
    try {
      if (this.#options.waitsForConnection) await this.#untilConnected();
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  /** Does a line, and notes it in the history. Never rejects for what a command can meet. */
  async execute(line: string): Promise<void> {
    const typed = splitLine(line);
    if (typed.length === 0) return;
    this.#history.push(line);
    await this.run(typed);
  }

  /** Does one command, and prints what came of it. */
  async run(typed: readonly string[]): Promise<void> {
    try {
      this.#printer.answer(await this.#perform(typed));
      // A process that is told to quit ends with the code of what it did before.
      if (!this.#isOver) this.#exitCode = ExitCode.OK;
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Ends the session, without a word of it; what is under way fails. A server that doesn't answer is not waited for: it will expire the
   * session by itself. Never rejects. May be called again.
   */
  async close(): Promise<void> {
    this.printsWatches = false;
    const zookeeper = this.#zookeeper;
    const late = zookeeper.clock.after(CLOSE_PATIENCE_MS, () => zookeeper.abandon());
    await this.quit();
    late.cancel();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // For the commands.

  async connect(connectString = this.#connectString): Promise<void> {
    parseConnectString(connectString);
    await this.#zookeeper.close();
    if (this.#isOver) throw notConnected();
    this.#connectString = connectString;
    this.#zookeeper = this.#open();
    if (this.#options.waitsForConnection) await this.#untilConnected();
  }

  async disconnect(): Promise<void> {
    if (this.#zookeeper.state === 'CLOSED') throw notConnected();
    await this.#zookeeper.close();
  }

  async quit(): Promise<void> {
    this.#isOver = true;
    await this.#zookeeper.close();
  }

  async redo(index: number): Promise<Answer> {
    const line = this.#history[index];
    // The last one is the redo itself.
    if (line === undefined || index >= this.#history.length - 1) throw new CommandError('Command index out of range');
    const typed = splitLine(line);
    if (typed[0] === 'redo') throw new CommandError('No redoing redos');
    this.#history[this.#history.length - 1] = line;
    return this.#perform(typed);
  }

  // Inside.

  async #perform([name = '', ...rest]: readonly string[]): Promise<Answer> {
    const command = commands.get(name);
    if (command === undefined) {
      throw new CommandError(`Command not found: ${name}`, { exitCode: ExitCode.COMMAND_NOT_FOUND });
    }
    const typed = parseArguments(rest, command.flags ?? {});
    const { min, max } = command.words;
    if (typed.words.length < min || typed.words.length > max) throw new CommandError(usageOf(name, command));
    if (command.kind === 'shell') return command.run(typed, this);
    const zookeeper = this.#zookeeper;
    if (zookeeper.state === 'CLOSED' || zookeeper.state === 'AUTH_FAILED') throw notConnected();
    return command.run(typed, { zookeeper, watcher: this.#watcher });
  }

  #fail(error: unknown): void {
    const failure = toFailure(error);
    this.#exitCode = failure.exitCode;
    this.#printer.failure(failure, failure.exitCode === ExitCode.COMMAND_NOT_FOUND ? this.usage : []);
  }

  #open(): ZooKeeper {
    const { timeoutMs, canBeReadOnly } = this.#options;
    const zookeeper = new ZooKeeper({
      connectString: this.#connectString,
      sessionTimeoutMs: timeoutMs,
      canBeReadOnly,
      ports: this.#ports,
    });
    zookeeper.on('session', (state) => this.#printEvent({ type: EventType.None, state, path: '' }));
    return zookeeper;
  }

  #printEvent(event: WatchedEvent): void {
    if (!this.printsWatches) return;
    this.#printer.event(event);
    this.#events.emit('event');
  }

  /** @throws ConnectionLossError when the session timeout has passed without a connection, or the session is over */
  async #untilConnected(): Promise<void> {
    const zookeeper = this.#zookeeper;
    if (isConnected(zookeeper.state)) return;
    const { timeoutMs } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void) => {
        timer.cancel();
        stopListening();
        settle();
      };
      const lose = () => reject(new ConnectionLossError('no connection', { failures: zookeeper.connectFailures }));
      const timer = zookeeper.clock.after(timeoutMs, () => end(lose));
      const stopListening = zookeeper.on('session', (state) => {
        if (isConnected(zookeeper.state)) end(resolve);
        else if (state !== KeeperState.Disconnected) end(lose);
      });
      if (zookeeper.state === 'CLOSED' || zookeeper.state === 'AUTH_FAILED') end(lose);
    });
  }
}

const isConnected = (state: SessionState): boolean => state === 'CONNECTED' || state === 'CONNECTED_READ_ONLY';

const notConnected = (): CommandError => new CommandError('Not connected');

/** As Java writes them. */
const STATE_NAMES: Readonly<Record<SessionState, string>> = {
  NOT_CONNECTED: 'CONNECTING',
  CONNECTING: 'CONNECTING',
  CONNECTED: 'CONNECTED',
  CONNECTED_READ_ONLY: 'CONNECTEDREADONLY',
  AUTH_FAILED: 'AUTH_FAILED',
  CLOSED: 'CLOSED',
};
