/**
 * Looks for a server with a quorum while the client is connected to one without (`pingRwServer` of ZooKeeper's `ClientCnxn`):
 * asks one host after the other with the four-letter word `isro`, each at most a second, in intervals that double from 100 ms to a
 * minute. It holds one connection and one timer at the most, and none once it was stopped or has found one.
 */
import type { Clock, Connection, HostAddress, Ports, Timer } from './transport.ts';

const INTERVAL_MS_MIN = 100;
const INTERVAL_MS_MAX = 60_000;
const ANSWER_MS_MAX = 1000;
const QUESTION = Buffer.from('isro');

export class ReadWriteProbe {
  readonly #clock: Clock;
  readonly #ports: Ports;
  readonly #nextHost: () => HostAddress;
  readonly #onFound: (address: HostAddress) => void;
  #intervalMs = INTERVAL_MS_MIN;
  #connection: Connection | undefined;
  #timer: Timer | undefined;

  /** @param onFound called once, with a server that says `rw` */
  constructor(
    ports: Ports,
    { nextHost, onFound }: { nextHost: () => HostAddress; onFound: (at: HostAddress) => void },
  ) {
    this.#clock = ports.clock;
    this.#ports = ports;
    this.#nextHost = nextHost;
    this.#onFound = onFound;
    this.#wait();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#connection?.close();
    this.#connection = undefined;
  }

  #wait(): void {
    this.stop();
    this.#timer = this.#clock.after(this.#intervalMs, () => this.#ask(this.#nextHost()));
    this.#intervalMs = Math.min(this.#intervalMs * 2, INTERVAL_MS_MAX);
  }

  #ask(address: HostAddress): void {
    let answer = '';
    const connection = this.#ports.transport.connect(address, {
      onOpen: () => connection.write(Buffer.from(QUESTION)),
      onBytes: (bytes) => {
        answer += Buffer.from(bytes).toString('latin1');
        if (answer.length >= 2) this.#onAnswer(address, answer);
      },
      onClose: () => this.#wait(),
    });
    this.#connection = connection;
    this.#timer = this.#clock.after(ANSWER_MS_MAX, () => this.#wait());
  }

  #onAnswer(address: HostAddress, answer: string): void {
    if (!answer.startsWith('rw')) return this.#wait();
    this.stop();
    this.#onFound(address);
  }
}
