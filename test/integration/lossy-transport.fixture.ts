/**
 * A way to the server that loses what the test picks: the answer to a request, with the connection. Everything before it has arrived, so
 * the server has done what it was asked for, and the client can't know.
 */
import {
  type Connection,
  type ConnectionHandler,
  type HostAddress,
  systemPorts,
  type Transport,
} from 'zookeeper-client-ts';

export class LossyTransport implements Transport {
  readonly #network = systemPorts().transport;
  #text: string | undefined;
  #lost = 0;
  #isDown = false;
  #onLost: () => void = () => undefined;

  /** Told when the client hears again. Absent while it does. */
  #unheard: (() => void)[] | undefined;

  /** What the servers say from now on waits until {@link hear}. They hear the client all the same. */
  deafen(): void {
    this.#unheard = [];
  }

  hear(): void {
    const unheard = this.#unheard ?? [];
    this.#unheard = undefined;
    for (const tell of unheard) tell();
  }

  /** How many answers were lost. */
  get lost(): number {
    return this.#lost;
  }

  /** The next request that contains the text will have no answer. Then there is no connection until {@link restore}, if that is wanted. */
  loseAnswerTo(text: string, { andStayDown = false } = {}): Promise<void> {
    this.#text = text;
    return new Promise((resolve) => {
      this.#onLost = () => {
        this.#lost++;
        this.#isDown = andStayDown;
        resolve();
      };
    });
  }

  restore(): void {
    this.#isDown = false;
  }

  connect(address: HostAddress, handler: ConnectionHandler): Connection {
    let isLosing = false;
    const drop = (): void => {
      connection.close();
      handler.onClose(new Error('lost by the test'));
    };
    const connection = this.#network.connect(address, {
      onOpen: () => (this.#isDown ? drop() : handler.onOpen()),
      onBytes: (bytes) => {
        if (this.#unheard !== undefined) return void this.#unheard.push(() => handler.onBytes(bytes));
        if (!isLosing) return handler.onBytes(bytes);
        this.#onLost();
        drop();
      },
      onClose: (error) => {
        if (this.#unheard !== undefined) return void this.#unheard.push(() => handler.onClose(error));
        handler.onClose(error);
      },
    });
    return {
      write: (bytes) => {
        connection.write(bytes);
        if (this.#text === undefined || !Buffer.from(bytes).includes(this.#text)) return;
        this.#text = undefined;
        isLosing = true;
      },
      close: () => connection.close(),
    };
  }
}
