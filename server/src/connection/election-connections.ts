import {
  FrameReader,
  JuteReader,
  JuteWriter,
  MarshallingError,
  type ServerId,
  toServerId,
} from 'zookeeper-protocol-ts';
import type { Ensemble } from '../ensemble.ts';
import type { Address, Closeable, Millis, Network, RunLog, Stream, StreamHandler } from '../ports.ts';
import { Strangers } from './strangers.ts';

/** Says of the initial message that it has an id and an address; servers of 3.4 send the id alone. */
const PROTOCOL_VERSION = -65536n;
const ADDRESS_BYTES_MAX = 2048;
const MESSAGE_BYTES_MAX = 512 * 1024;
/** The id that observers without one send. */
const ANONYMOUS = 2n ** 63n - 1n;

export interface ElectionConnectionsOptions {
  readonly self: ServerId;
  readonly ensemble: Ensemble;
  readonly network: Network;
  readonly runLog: RunLog;
  readonly now: () => Millis;
  /** How long a server that has connected may take to introduce itself. */
  readonly silenceMsMax: Millis;
  /** Somebody has come who may be silent for too long: {@link ElectionConnections.nextDeadline} may have changed. */
  readonly onStranger: () => void;
  readonly onMessage: (from: ServerId, bytes: Uint8Array) => void;
  /** The connection with this server has ended by itself, or can't be made. */
  readonly onUnreachable: (server: ServerId) => void;
}

/**
 * The connections of the election port (`QuorumCnxManager`): at most one to each other server, made by the one with the larger
 * id. The other one may dial too, but only to be called back.
 *
 * What must hold: a message is a server's latest word, so only the last one is kept for whom it can't be sent to now; whoever
 * connects anew is sent it again.
 *
 * The initial message: `version long -65536, id long, address: length int, text`, then in both directions `length int, message`.
 */
export class ElectionConnections {
  readonly #options: ElectionConnectionsOptions;
  readonly #peers = new Map<ServerId, Peer>();
  readonly #strangers: Strangers<IncomingStream>;
  #listener: Closeable | undefined;
  #nextAnonymous = -1;
  #isClosed = false;

  constructor(options: ElectionConnectionsOptions) {
    this.#options = options;
    this.#strangers = new Strangers(options.silenceMsMax);
  }

  nextDeadline(): Millis {
    return this.#strangers.nextDeadline();
  }

  wake(now: Millis): void {
    for (const stream of this.#strangers.takeOverdue(now)) {
      this.#options.runLog.warn(`${stream.remote} has not said on the election port which server it is`);
      stream.close();
    }
  }

  /** @param listening called once: with null, or with why the port can't be had */
  listen(address: Address, listening: (error: Error | null) => void): void {
    this.#listener = this.#options.network.listen(address, {
      onListening: () => listening(null),
      onFailure: listening,
      onStream: (stream) => this.#onStream(stream),
    });
  }

  #onStream(stream: Stream): IncomingStream | undefined {
    if (this.#isClosed) return undefined;
    const incoming = new IncomingStream(stream, this);
    this.#strangers.add(incoming, this.#options.now());
    this.#options.onStranger();
    return incoming;
  }

  /** Tells a server something, now or when it can be reached. */
  send(to: ServerId, message: Uint8Array): void {
    const peer = this.#peer(to);
    peer.last = message;
    if (peer.stream !== undefined) peer.stream.send(message);
    else this.#dial(to);
  }

  close(): void {
    this.#isClosed = true;
    this.#listener?.close();
    for (const { stream } of this.#peers.values()) stream?.close();
    for (const stream of this.#strangers.takeOverdue(Number.POSITIVE_INFINITY)) stream.close();
  }

  /** Somebody has introduced itself. @returns whether the stream is kept */
  onIntroduced(stream: IncomingStream, id: bigint, advertised: Address | undefined): ServerId | undefined {
    const { self, runLog } = this.#options;
    this.#strangers.delete(stream);
    const from = id === ANONYMOUS ? toServerId(this.#nextAnonymous--) : toServerId(Number(id));
    if (from === self) {
      runLog.warn(`${stream.remote} calls itself server ${from}, as this one does`);
      return undefined;
    }
    if (from >= 0 && from < self) {
      // Of two connections only ours is kept.
      this.#peer(from).stream?.close();
      this.#dial(from, advertised);
      return undefined;
    }
    this.#keep(from, stream);
    return from;
  }

  onMessage(from: ServerId, bytes: Uint8Array): void {
    if (!this.#isClosed) this.#options.onMessage(from, bytes);
  }

  onUnreadable({ remote }: ElectionStream, error: MarshallingError): void {
    this.#options.runLog.warn(`connection with ${remote} on the election port ended: unreadable: ${error.message}`);
  }

  /** It has ended; whether it had introduced itself does not matter here. */
  onStrangerGone(stream: IncomingStream): void {
    this.#strangers.delete(stream);
  }

  /** The other end has ended it, or the network. */
  onLost(to: ServerId, stream: ElectionStream): void {
    const isKept = this.#peers.get(to)?.stream === stream;
    this.onClosed(to, stream);
    if (isKept && !this.#isClosed) this.#options.onUnreachable(to);
  }

  onClosed(to: ServerId, stream: ElectionStream): void {
    const peer = this.#peers.get(to);
    if (peer?.stream !== stream) return;
    peer.stream = undefined;
    // Whoever else comes has a new number each time, or any number.
    if (this.#options.ensemble.member(to) === undefined) this.#peers.delete(to);
  }

  #keep(id: ServerId, stream: ElectionStream): void {
    const peer = this.#peer(id);
    peer.stream?.close();
    peer.stream = stream;
    if (peer.last !== undefined) stream.send(peer.last);
  }

  #dial(to: ServerId, advertised?: Address): void {
    const { self, ensemble, network } = this.#options;
    const address = ensemble.member(to)?.electionAddress ?? advertised;
    const peer = this.#peer(to);
    if (address === undefined || peer.isDialling || this.#isClosed) return;
    peer.isDialling = true;
    network.dial(address, {
      onOpened: (stream) => {
        peer.isDialling = false;
        if (this.#isClosed) return undefined;
        stream.write(this.#introduction());
        // The larger id makes the connection: this was to ask for it.
        if (self < to) {
          stream.close();
          return undefined;
        }
        const outgoing = new OutgoingStream(stream, this, to);
        this.#keep(to, outgoing);
        return outgoing;
      },
      // It is dialled again when there is something to tell it.
      onFailure: () => {
        peer.isDialling = false;
        if (peer.stream === undefined && !this.#isClosed) this.#options.onUnreachable(to);
      },
    });
  }

  #introduction(): Uint8Array {
    const { self, ensemble } = this.#options;
    const { host, port } = ensemble.member(self)?.electionAddress ?? { host: '', port: 0 };
    const writer = new JuteWriter(64);
    writer.writeLong(PROTOCOL_VERSION);
    writer.writeLongFromNumber(self);
    writer.writeString(`${host.includes(':') ? `[${host}]` : host}:${port}`);
    return writer.take();
  }

  #peer(id: ServerId): Peer {
    let peer = this.#peers.get(id);
    if (peer === undefined) {
      peer = { stream: undefined, last: undefined, isDialling: false };
      this.#peers.set(id, peer);
    }
    return peer;
  }
}

interface Peer {
  stream: ElectionStream | undefined;
  /** What it was told last, or will be. */
  last: Uint8Array | undefined;
  isDialling: boolean;
}

/** A connection to one other server. */
abstract class ElectionStream implements StreamHandler {
  protected readonly stream: Stream;
  protected readonly connections: ElectionConnections;
  protected readonly frames = new FrameReader({ frameBytesMax: MESSAGE_BYTES_MAX });
  #isClosed = false;

  constructor(stream: Stream, connections: ElectionConnections) {
    this.stream = stream;
    this.connections = connections;
  }

  get remote(): string {
    return `${this.stream.remote.host}:${this.stream.remote.port}`;
  }

  abstract get peer(): ServerId | undefined;

  send(message: Uint8Array): void {
    const framed = Buffer.allocUnsafe(4 + message.length);
    framed.writeInt32BE(message.length);
    framed.set(message, 4);
    this.stream.write(framed);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.stream.close();
    this.#forget();
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    this.frames.push(bytes);
    try {
      this.read();
    } catch (error) {
      if (!(error instanceof MarshallingError)) throw error;
      this.connections.onUnreadable(this, error);
      this.close();
    }
  }

  onDrain(): void {
    // A server that doesn't read its few messages is one that is dropped with its connection.
  }

  onClose(): void {
    const wasClosed = this.#isClosed;
    this.#isClosed = true;
    if (!wasClosed && this.peer !== undefined) this.connections.onLost(this.peer, this);
  }

  /** Reads what has arrived. */
  protected read(): void {
    const { peer } = this;
    while (peer !== undefined && !this.#isClosed) {
      const message = this.frames.next();
      if (message === undefined) return;
      this.connections.onMessage(peer, message);
    }
  }

  #forget(): void {
    if (this.peer !== undefined) this.connections.onClosed(this.peer, this);
  }
}

/** One that this server has made. */
class OutgoingStream extends ElectionStream {
  readonly peer: ServerId;

  constructor(stream: Stream, connections: ElectionConnections, peer: ServerId) {
    super(stream, connections);
    this.peer = peer;
  }
}

/** One that another server has made: first it says who it is. */
class IncomingStream extends ElectionStream {
  #peer: ServerId | undefined;

  get peer(): ServerId | undefined {
    return this.#peer;
  }

  override close(): void {
    this.connections.onStrangerGone(this);
    super.close();
  }

  override onClose(): void {
    this.connections.onStrangerGone(this);
    super.onClose();
  }

  protected override read(): void {
    if (this.#peer === undefined && !this.#readIntroduction()) return;
    super.read();
  }

  /** @returns whether messages follow */
  #readIntroduction(): boolean {
    const head = this.frames.peek(8);
    if (head === undefined) return false;
    const first = head.readBigInt64BE();
    if (first >= 0n) {
      this.frames.skip(8);
      return this.#introduce(first, undefined);
    }
    if (first !== PROTOCOL_VERSION) throw new MarshallingError(`an election protocol of version ${first}`);
    const fixed = this.frames.peek(20);
    if (fixed === undefined) return false;
    const addressBytes = fixed.readInt32BE(16);
    if (addressBytes < 1 || addressBytes > ADDRESS_BYTES_MAX) throw new MarshallingError('an address of no length');
    const whole = this.frames.peek(20 + addressBytes);
    if (whole === undefined) return false;
    const reader = new JuteReader(whole.subarray(8));
    const id = reader.readLong();
    const address = addressIn(reader.readString() ?? '');
    this.frames.skip(20 + addressBytes);
    return this.#introduce(id, address);
  }

  #introduce(id: bigint, address: Address | undefined): boolean {
    this.#peer = this.connections.onIntroduced(this, id, address);
    if (this.#peer === undefined) this.close();
    return this.#peer !== undefined;
  }
}

/** `host:port`, an IPv6 address in brackets. */
function addressIn(text: string): Address | undefined {
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  return host === undefined || port === undefined ? undefined : { host, port: Number(port) };
}
