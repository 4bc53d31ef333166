import type { Address, Closeable, DialHandler, ListenHandler, Network, Stream, StreamHandler } from '../ports.ts';

/**
 * The network between the servers of a testing cluster, in memory: no ports are taken, and it can be cut. A cut holds back what
 * was sent, as TCP does, which goes on sending; nobody is told. What is held arrives when the network is whole again.
 */
export class PeerWires {
  readonly #soon: (run: () => void) => void;
  readonly #listeners = new Map<string, { readonly server: number; readonly handler: ListenHandler }>();
  readonly #ends = new Set<WireEnd>();
  /** Which side of the partition each server is on; those that are in none are cut off from everybody. */
  #sides: ReadonlyMap<number, number> | undefined;

  /** @param soon calls a function after the present event */
  constructor(soon: (run: () => void) => void) {
    this.#soon = soon;
  }

  /** The network as one of the servers has it. */
  networkOf(server: number): Network {
    return {
      listen: (address, handler) => this.#listen(server, address, handler),
      dial: (address, handler) => this.#dial(server, address, handler),
    };
  }

  partition(groups: readonly (readonly number[])[]): void {
    this.#sides = new Map(groups.flatMap((group, side) => group.map((server) => [server, side] as const)));
  }

  heal(): void {
    this.#sides = undefined;
    for (const end of [...this.#ends]) end.deliver();
  }

  /** Ends all streams of a server, as its death does. */
  drop(server: number): void {
    for (const end of [...this.#ends]) if (end.server === server) end.destroy();
  }

  isCut(from: number, to: number): boolean {
    const sides = this.#sides;
    if (sides === undefined) return false;
    return sides.get(from) === undefined || sides.get(from) !== sides.get(to);
  }

  soon(run: () => void): void {
    this.#soon(run);
  }

  onEnded(end: WireEnd): void {
    this.#ends.delete(end);
  }

  #listen(server: number, address: Address, handler: ListenHandler): Closeable {
    const key = keyOf(address);
    this.#listeners.set(key, { server, handler });
    this.#soon(() => handler.onListening(address));
    return {
      close: () => {
        if (this.#listeners.get(key)?.handler === handler) this.#listeners.delete(key);
      },
    };
  }

  #dial(from: number, address: Address, handler: DialHandler): void {
    this.#soon(() => {
      const listener = this.#listeners.get(keyOf(address));
      if (listener === undefined || this.isCut(from, listener.server)) {
        handler.onFailure(new Error(`${keyOf(address)} can't be reached`));
        return;
      }
      const here = new WireEnd(this, { server: from, peer: listener.server, remote: address });
      const there = new WireEnd(this, {
        server: listener.server,
        peer: from,
        remote: { host: `server-${from}`, port: 0 },
      });
      here.other = there;
      there.other = here;
      this.#ends.add(here).add(there);
      there.attach(listener.handler.onStream(there));
      here.attach(handler.onOpened(here));
    });
  }
}

const keyOf = ({ host, port }: Address): string => `${host}:${port}`;

type Arrival = { readonly kind: 'bytes'; readonly bytes: Uint8Array } | { readonly kind: 'end' };

/** One end of a stream between two servers. */
class WireEnd implements Stream {
  readonly server: number;
  readonly remote: Address;
  /** What was written is with the other end at once, delivered or not. */
  readonly queuedBytes = 0;
  other: WireEnd | undefined;
  readonly #wires: PeerWires;
  readonly #peer: number;
  #handler: StreamHandler | undefined;
  #arrivals: Arrival[] = [];
  #isPaused = false;
  #isClosed = false;

  constructor(wires: PeerWires, ends: { readonly server: number; readonly peer: number; readonly remote: Address }) {
    this.#wires = wires;
    this.server = ends.server;
    this.#peer = ends.peer;
    this.remote = ends.remote;
  }

  attach(handler: StreamHandler | undefined): void {
    this.#handler = handler;
    if (handler === undefined) this.close();
  }

  write(bytes: Uint8Array): void {
    if (!this.#isClosed) this.other?.arrive({ kind: 'bytes', bytes });
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#wires.soon(() => this.deliver());
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#arrivals = [];
    this.#wires.onEnded(this);
    this.other?.arrive({ kind: 'end' });
    this.#wires.soon(() => this.#handler?.onClose(undefined));
  }

  destroy(): void {
    this.close();
  }

  arrive(arrival: Arrival): void {
    if (this.#isClosed) return;
    this.#arrivals.push(arrival);
    this.#wires.soon(() => this.deliver());
  }

  /** Hands over what has arrived, as far as that may be. */
  deliver(): void {
    while (!this.#isClosed && !this.#isPaused && !this.#wires.isCut(this.#peer, this.server)) {
      const next = this.#arrivals.shift();
      if (next === undefined) return;
      if (next.kind === 'bytes') {
        this.#handler?.onBytes(next.bytes);
        continue;
      }
      this.#isClosed = true;
      this.#wires.onEnded(this);
      this.#handler?.onClose(undefined);
    }
  }
}
