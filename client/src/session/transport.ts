/**
 * The machine, as the client sees it. `tcp-transport.ts` has the real one; the simulator has a virtual one, and client and
 * recipes run unchanged on both. A port never calls back before the call that asked for it has returned.
 */

export interface Timer {
  /** The callback will not run. May be called at any time, also twice. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic time, ms, with an arbitrary origin. It goes on while the process is frozen. */
  now(): number;
  /** ms since 1970, as people and other machines count. It may jump: what has to be waited for is counted by `now`. */
  wallTime(): number;
  /** Calls `run` once after `ms`, possibly later, never earlier. The timer keeps the process alive until it is cancelled. */
  after(ms: number, run: () => void): Timer;
  /** Calls `run` when the present event, and the promises that it settled, have been dealt with. */
  soon(run: () => void): void;
}

export interface HostAddress {
  /** A host name, resolved anew at every attempt, or a numeric address. */
  readonly host: string;
  readonly port: number;
}

export interface ConnectionHandler {
  onOpen(): void;
  onBytes(bytes: Uint8Array): void;
  /** Called exactly once, also when it never opened; nothing is called afterwards. Not called after `close()`. */
  onClose(error: Error | undefined): void;
}

/** An ordered stream of bytes. */
export interface Connection {
  /** Takes over the bytes: they must not be changed afterwards. */
  write(bytes: Uint8Array): void;
  /** Sends what was written and ends the stream; no handler is called any more. May be called twice. */
  close(): void;
}

export interface Transport {
  connect(address: HostAddress, handler: ConnectionHandler): Connection;
}

/** Everything outside that the client uses. */
export interface Ports {
  readonly clock: Clock;
  readonly transport: Transport;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
}
