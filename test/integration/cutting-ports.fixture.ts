/**
 * The client's ports on the real machine, with connections that break between a request and its reply when a test says so. Their
 * time runs ten times as fast, so that a test needn't wait for a second each time before the client connects again.
 */
import {
  type Clock,
  type Connection,
  type ConnectionHandler,
  type HostAddress,
  type Ports,
  systemPorts,
} from 'zookeeper-client-ts';

/** What goes over a connection at one time: to the server, or from it. */
export type Direction = 'request' | 'reply';

export class CuttingPorts implements Ports {
  /** Asked of everything that is to pass. Where it says true, that is lost, and its connection with it. */
  isCut: (direction: Direction) => boolean = () => false;
  /** Connections that it has broken. */
  cuts = 0;
  readonly #machine = systemPorts();
  readonly clock: Clock = {
    now: () => this.#machine.clock.now() * SPEED,
    wallTime: () => this.#machine.clock.wallTime(),
    after: (ms, run) => this.#machine.clock.after(ms / SPEED, run),
    soon: (run) => this.#machine.clock.soon(run),
  };
  readonly random = this.#machine.random;
  readonly transport = {
    connect: (address: HostAddress, handler: ConnectionHandler): Connection => this.#connect(address, handler),
  };

  #connect(address: HostAddress, handler: ConnectionHandler): Connection {
    let isBroken = false;
    const isLost = (direction: Direction): boolean => {
      if (isBroken || !this.isCut(direction)) return isBroken;
      isBroken = true;
      this.cuts++;
      connection.close();
      this.clock.soon(() => handler.onClose(new Error(`the ${direction} was lost`)));
      return true;
    };
    const connection = this.#machine.transport.connect(address, {
      onOpen: () => isBroken || handler.onOpen(),
      onBytes: (bytes) => isLost('reply') || handler.onBytes(bytes),
      onClose: (error) => isBroken || handler.onClose(error),
    });
    return {
      write: (bytes) => isLost('request') || connection.write(bytes),
      close: () => {
        isBroken = true;
        connection.close();
      },
    };
  }

  /** The next reply is lost; what was asked for has been done. */
  loseNextReply(): void {
    this.isCut = (direction) => {
      if (direction === 'request') return false;
      this.isCut = () => false;
      return true;
    };
  }
}

const SPEED = 10;
