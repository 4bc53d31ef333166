/**
 * The machine, as the server sees it: four small ports. `node/` implements them on a real machine, the simulator on a
 * virtual one, and the server runs unchanged on both. Callbacks, not promises: the order of completions is explicit, and a
 * simulated step is synchronous. A port never calls back before the call that asked for it has returned.
 */

/** Milliseconds: a point on the monotonic clock, or a duration. */
export type Millis = number;

export interface Clock {
  /** Monotonic time, ms, with an arbitrary origin: the only time that timeouts may be computed from. */
  now(): Millis;
  /** Wall clock, ms since 1970: for ctime, mtime and log lines. It may jump. */
  wallTime(): Millis;
  /** Calls `wake` once when `now()` has reached `at`; replaces the alarm set before. */
  setAlarm(at: Millis, wake: () => void): void;
  /** Calls `run` after the present event and those that are ready with it. */
  soon(run: () => void): void;
}

export interface Address {
  /** A numeric address, or a host name. */
  readonly host: string;
  readonly port: number;
}

export interface Network {
  /**
   * Accepts connections at an address; port 0 takes a free one. Exactly one of `onListening` and `onFailure` is called
   * first; `onStream` for each connection from then on, until the listener is closed.
   */
  listen(address: Address, handler: ListenHandler): Closeable;
  /** Makes a connection. A host name is resolved anew each time. Exactly one function of the handler is called, once. */
  dial(address: Address, handler: DialHandler): void;
}

export interface DialHandler {
  /** The handler for the stream, or undefined if the stream was, or is to be, closed. */
  onOpened(stream: Stream): StreamHandler | undefined;
  onFailure(error: Error): void;
}

export interface ListenHandler {
  onListening(bound: Address): void;
  onFailure(error: Error): void;
  /** The handler for the new stream, or undefined to close it at once. */
  onStream(stream: Stream): StreamHandler | undefined;
}

export interface Closeable {
  /** Stops it; established streams go on. May be called twice. */
  close(): void;
}

/** Ordered bytes in both directions, as TCP has them. Chunks may be cut and joined anywhere. */
export interface Stream {
  readonly remote: Address;
  /** Bytes written that have not left this process. */
  readonly queuedBytes: number;
  /** Takes over the bytes: they must not be changed afterwards. Ignored once closed. */
  write(bytes: Uint8Array): void;
  /** Stops `onBytes` until `resume`. */
  pause(): void;
  resume(): void;
  /** Sends what was written, then ends the stream in both directions. */
  close(): void;
  /** Ends it at once, dropping what was not sent. */
  destroy(): void;
}

export interface StreamHandler {
  /** The bytes are the receiver's from now on. A small part kept for long should be copied: it holds the whole chunk. */
  onBytes(bytes: Uint8Array): void;
  /** All that was written has left this process. */
  onDrain(): void;
  /** Called exactly once, whoever ended the stream; nothing is called afterwards. */
  onClose(error: Error | undefined): void;
}

/** Called with null when it is done, or with why it failed. */
export type Done = (error: Error | null) => void;

/** One folder. Names are plain file names. */
export interface Disk {
  /** What the folder is called in messages. */
  readonly name: string;
  /** Names of the files in it, sorted. At start-up, and now and then. */
  list(): string[];
  /** Opens a file for reading and writing, and creates it if it is missing. @throws when that is refused */
  open(name: string): DiskFile;
  rename(from: string, to: string, done: Done): void;
  remove(name: string, done: Done): void;
  /** Makes creations, renames and removals durable: a new file may vanish in a power loss before this is done. */
  syncDirectory(done: Done): void;
}

export interface DiskFile {
  readonly size: number;
  /**
   * Waits for the disk: for start-up and recovery, and in small pieces for a learner that lacks a part of the log. Fewer bytes than asked
   * for at the end of the file. @throws when reading fails
   */
  readAt(offset: number, length: number): Uint8Array;
  /** One write in flight per file. The bytes must not be changed until it is done. */
  write(offset: number, bytes: Uint8Array, done: Done): void;
  /** Makes all writes that were done before this call durable. */
  sync(done: Done): void;
  /** Cuts the file, or extends it with zeros. */
  truncate(size: number, done: Done): void;
  close(): void;
}

export interface Random {
  /** 0 ≤ x < 1. */
  next(): number;
  bytes(count: number): Uint8Array;
}

/** The one hash that digest authentication needs. */
export interface Hash {
  /** 20 bytes. */
  sha1(bytes: Uint8Array): Uint8Array;
}

/** The run log that an operator reads: one line an event. */
export interface RunLog {
  info(line: string): void;
  warn(line: string): void;
  error(line: string): void;
}

/** What an administrator is told about the machine and this process; nothing is decided by it. */
export interface Machine {
  /** Name and value, in the order to be shown: `os.name`, `user.dir`, … */
  environment(): readonly (readonly [name: string, value: string])[];
  /** Files and sockets that the process has open, and may have; -1 where the system doesn't tell. */
  openFiles(): { readonly now: number; readonly max: number };
  /** Of the whole process. */
  usage(): { readonly residentBytes: number; readonly cpuSeconds: number; readonly startedAtSeconds: number };
  /** Bytes of the files directly in a folder; 0 for a missing one. */
  folderBytes(folder: string): number;
  /** A wall-clock time as the original writes it: `Mon Nov 23 03:35:05 UTC 2026`. */
  formatTime(wallTime: Millis): string;
}
