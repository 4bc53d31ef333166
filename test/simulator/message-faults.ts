/**
 * The network of one simulated client, failing at chosen messages. A message is one frame of the client's protocol; they are
 * counted from 1 for each direction, over all connections of the client, so a run that is repeated with a fault is the same up to
 * that message, and the fault strikes for certain.
 *
 * What must always hold: bytes are cut nowhere else than the world cuts them, unless a fault strikes; and a port never calls back
 * before the call that asked for it has returned.
 */
import type { Clock, Connection, ConnectionHandler, HostAddress, Transport } from 'zookeeper-client-ts';

/** Which way a message goes: `request` to the server, `reply` from it; connects and events among them. */
export type Direction = 'request' | 'reply';

/**
 * - `cut before`: the connection breaks, and the message gets lost;
 * - `cut within`: it breaks inside the message;
 * - `cut after`: the message arrives, and has its effect, before the connection breaks for its sender;
 * - `one way`: the message and all behind it, in its direction, vanish; nobody is told;
 * - `half-open`: the same in both directions, and neither side hears of the other's end;
 * - `slow`, `late`: the message and all behind it, in its direction, come {@link MessageFaultsOptions.slowMs} or `lateMs` later.
 */
export const FAULT_KINDS = ['cut before', 'cut within', 'cut after', 'one way', 'half-open', 'slow', 'late'] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface MessageFault {
  readonly direction: Direction;
  /** From 1: over all connections, or on one of them. */
  readonly message: number;
  /** From 1. */
  readonly connection?: number | undefined;
  readonly kind: FaultKind;
}

export interface MessageFaultsOptions {
  /** Not the client's own, or what the client leaves behind could not be told from this. */
  readonly clock: Clock;
  readonly transport: Transport;
  readonly faults?: readonly MessageFault[] | undefined;
  readonly slowMs?: number | undefined;
  readonly lateMs?: number | undefined;
}

/** Within the header of any message: its length is 4 bytes, and the shortest body 8. */
const TORN_BYTES = 9;
/** How long the server keeps a connection that has broken for its client: long enough for the message to have its effect. */
const UNNOTICED_MS = 50;
const LENGTH_BYTES = 4;

export class FaultyTransport implements Transport {
  readonly #options: MessageFaultsOptions;
  readonly #messages: Record<Direction, number> = { request: 0, reply: 0 };
  readonly #struck: MessageFault[] = [];
  readonly #open = new Set<FaultyConnection>();
  #connections = 0;

  constructor(options: MessageFaultsOptions) {
    this.#options = options;
  }

  /** Messages that have begun so far. */
  get messages(): Readonly<Record<Direction, number>> {
    return this.#messages;
  }

  /** The faults that have struck, in order. */
  get struck(): readonly MessageFault[] {
    return this.#struck;
  }

  /** Connections that the client has neither closed nor seen end. */
  get openConnections(): number {
    return this.#open.size;
  }

  /** Breaks the connections that a fault has struck: those that come after them are sound, unless another one strikes. */
  heal(): void {
    for (const connection of [...this.#open]) connection.breakIfStruck();
  }

  connect(address: HostAddress, handler: ConnectionHandler): Connection {
    const number = ++this.#connections;
    const own: Record<Direction, number> = { request: 0, reply: 0 };
    const connection: FaultyConnection = new FaultyConnection(this.#options, address, handler, {
      nextMessage: (direction) => {
        const [all, ofConnection] = [++this.#messages[direction], ++own[direction]];
        return this.#options.faults?.find(({ connection, ...fault }) => {
          const isMeant = connection === undefined ? fault.message === all : fault.message === ofConnection;
          return fault.direction === direction && isMeant && (connection ?? number) === number;
        });
      },
      onStruck: (fault) => this.#struck.push(fault),
      onOver: () => void this.#open.delete(connection),
    });
    this.#open.add(connection);
    return connection;
  }
}

interface Owner {
  /** A message begins: the fault that is to strike it. */
  nextMessage(direction: Direction): MessageFault | undefined;
  onStruck(fault: MessageFault): void;
  /** The client has closed it, or heard of its end. */
  onOver(): void;
}

/** How one direction of a connection is. */
type Lane = 'open' | 'slow' | 'late' | 'lost';

class FaultyConnection implements Connection {
  readonly #clock: Clock;
  readonly #delayMs: Readonly<Record<'slow' | 'late', number>>;
  readonly #handler: ConnectionHandler;
  readonly #owner: Owner;
  readonly #connection: Connection;
  readonly #lanes: Record<Direction, Lane> = { request: 'open', reply: 'open' };
  readonly #marks: Record<Direction, MessageMarks>;
  /** The client has closed it, or was told of its end. */
  #isOver = false;

  constructor(options: MessageFaultsOptions, address: HostAddress, handler: ConnectionHandler, owner: Owner) {
    const { clock, transport, slowMs = 0, lateMs = 0 } = options;
    this.#clock = clock;
    this.#delayMs = { slow: slowMs, late: lateMs };
    this.#handler = handler;
    this.#owner = owner;
    this.#marks = { request: new MessageMarks('request', owner), reply: new MessageMarks('reply', owner) };
    this.#connection = transport.connect(address, {
      onOpen: () => {
        if (!this.#isOver) handler.onOpen();
      },
      onBytes: (bytes) => this.#carry('reply', bytes),
      onClose: (error) => this.#pass('reply', () => this.#tellEnd(error)),
    });
  }

  write(bytes: Uint8Array): void {
    if (!this.#isOver) this.#carry('request', bytes);
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.onOver();
    this.#pass('request', () => this.#connection.close());
  }

  breakIfStruck(): void {
    if (this.#lanes.request !== 'open' || this.#lanes.reply !== 'open') this.#cut();
  }

  #carry(direction: Direction, bytes: Uint8Array): void {
    const struck = this.#lanes[direction] === 'open' ? this.#marks[direction].pass(bytes) : undefined;
    if (struck === undefined) return this.#pass(direction, () => this.#deliver(direction, bytes));
    if (struck.at > 0) this.#deliver(direction, bytes.subarray(0, struck.at));
    this.#strike(struck.fault);
    const rest = bytes.subarray(struck.at);
    if (rest.length > 0) this.#pass(direction, () => this.#deliver(direction, rest));
  }

  #deliver(direction: Direction, bytes: Uint8Array): void {
    if (direction === 'request') this.#connection.write(bytes);
    else if (!this.#isOver) this.#handler.onBytes(bytes);
  }

  #pass(direction: Direction, run: () => void): void {
    const lane = this.#lanes[direction];
    if (lane === 'open') run();
    // Equal delays keep the order.
    else if (lane !== 'lost') this.#clock.after(this.#delayMs[lane], run);
  }

  #strike(fault: MessageFault): void {
    this.#owner.onStruck(fault);
    switch (fault.kind) {
      case 'cut before':
      case 'cut within':
      case 'cut after':
        return this.#cut();
      case 'one way':
        this.#lanes[fault.direction] = 'lost';
        return;
      case 'half-open':
        this.#lose();
        return;
      case 'slow':
      case 'late':
        this.#lanes[fault.direction] = fault.kind;
        return;
    }
  }

  #cut(): void {
    this.#lose();
    this.#clock.after(0, () => this.#tellEnd(new Error('cut')));
    this.#clock.after(UNNOTICED_MS, () => this.#connection.close());
  }

  #lose(): void {
    this.#lanes.request = 'lost';
    this.#lanes.reply = 'lost';
  }

  #tellEnd(error: Error | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.onOver();
    this.#handler.onClose(error);
  }
}

/** Finds the messages in one direction of a connection, and the byte at which a fault strikes. */
class MessageMarks {
  readonly #direction: Direction;
  readonly #owner: Owner;
  /** The fault that is to strike in the message that has begun. */
  #fault: MessageFault | undefined;
  /** Bytes of that message that have passed. */
  #passed = 0;
  /** Of its body; complete when its four bytes have passed. */
  #length = 0;

  constructor(direction: Direction, owner: Owner) {
    this.#direction = direction;
    this.#owner = owner;
  }

  /** Goes over the bytes up to the first that does not pass undisturbed; `at` is its index. */
  pass(bytes: Uint8Array): { readonly fault: MessageFault; readonly at: number } | undefined {
    for (let at = 0; at < bytes.length; at++) {
      if (this.#passed === 0) {
        this.#length = 0;
        this.#fault = this.#owner.nextMessage(this.#direction);
      }
      const fault = this.#fault;
      if (fault !== undefined && fault.kind !== 'cut after' && this.#passed === strikesAt(fault.kind)) {
        return { fault, at };
      }
      if (this.#passed < LENGTH_BYTES) this.#length = this.#length * 256 + (bytes[at] ?? 0);
      this.#passed++;
      if (this.#passed < LENGTH_BYTES || this.#passed < LENGTH_BYTES + this.#length) continue;
      this.#passed = 0;
      if (fault !== undefined) return { fault, at: at + 1 };
    }
    return undefined;
  }
}

/** Bytes of a message that pass before a fault which doesn't wait for its end. */
const strikesAt = (kind: FaultKind): number => (kind === 'cut within' ? TORN_BYTES : 0);
