/**
 * The disk of one machine, one folder of it. The kernel's page cache and the medium are kept apart:
 *
 * - a write is in the page cache when it is done, and on the medium after a `sync` that was asked for later;
 * - a created, renamed or removed name is on the medium after `syncDirectory`;
 * - a killed process loses only what was in flight, at any byte; a power loss leaves a crash image that the seed picks.
 *
 * Each operation takes its own time, so operations on different files finish in any order.
 */
import type { Disk, DiskFile, Done } from 'zookeeper-server-ts';
import { type EventOwner, type EventQueue, type QueuedEvent, Source } from './event-queue.ts';
import { Draws, type Range, wordOf } from './random.ts';
import { SystemError } from './system-error.ts';

const SECTOR_BYTES = 512;
const PAGE_BYTES = 4096;

export interface DiskOptions {
  /** Default 0.02 to 0.2. */
  readonly writeMs: Range;
  /** Also for the directory, and for renames and removals. Default 0.2 to 2. */
  readonly syncMs: Range;
  /** Part of the operations that take `stallMs` on top. Default 0. */
  readonly stallRate: number;
  readonly stallMs: Range;
  /** Bytes in all files together. Default: no limit. */
  readonly capacityBytes: number;
}

const DISK_OPTIONS_DEFAULT: DiskOptions = {
  writeMs: [0.02, 0.2],
  syncMs: [0.2, 2],
  stallRate: 0,
  stallMs: [1000, 60_000],
  capacityBytes: Number.POSITIVE_INFINITY,
};

export type DiskOperation =
  | 'list'
  | 'open'
  | 'read'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'rename'
  | 'remove'
  | 'syncDirectory';

/** An error to come. A failed `sync` drops the bytes that it was to save: a later sync succeeds, and they are still lost. */
export interface DiskFault {
  readonly operation: DiskOperation;
  readonly code: 'EIO' | 'ENOSPC';
  /** Only files whose name starts so; default: all. */
  readonly namePrefix?: string;
  /** How many operations fail; infinity: for ever. Default 1. */
  readonly times?: number;
}

/**
 * What a power loss left of a file's bytes that were not synced: nothing, everything, the first changes, the first changes
 * and a part of the next one cut at a sector, or some of the pages, in no order.
 */
export type CrashImage = 'lost' | 'kept' | 'prefix' | 'torn' | 'pages';

const CRASH_IMAGES: readonly CrashImage[] = ['lost', 'kept', 'prefix', 'torn', 'pages'];

type Change = { kind: 'write'; offset: number; bytes: Uint8Array } | { kind: 'truncate'; size: number };

type EntryChange =
  | { kind: 'create'; name: string; inode: Inode }
  | { kind: 'rename'; from: string; to: string }
  | { kind: 'remove'; name: string };

interface Inode {
  /** What a reader sees. */
  readonly cached: Content;
  /** What is on the medium. */
  readonly durable: Content;
  /** Changes in the cache that are not on the medium, in order. */
  readonly unsynced: Change[];
  /** Changes that have left `unsynced`: makes positions in it absolute. */
  forgotten: number;
  /** One at a time, as the port demands. */
  changing: boolean;
}

interface Operation {
  readonly event: QueuedEvent;
  /** Performs it; `part` < 1: the process was killed in the middle of it. */
  readonly perform: (part: number) => void;
}

/** What the medium has of a file, for an onlooker: the same object as long as it is the same file. */
export interface DurableFile {
  readonly size: number;
  /** How often it has become shorter. */
  readonly cuts: number;
  /** A copy; fewer bytes at the end. */
  read(offset: number, length: number): Uint8Array;
}

/** The bytes of a file, growing. */
class Content implements DurableFile {
  #bytes = Buffer.alloc(0);
  #size = 0;
  cuts = 0;

  get size(): number {
    return this.#size;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#extend(offset + bytes.length);
    this.#bytes.set(bytes, offset);
  }

  truncate(size: number): void {
    if (size < this.#size) {
      this.#bytes.fill(0, size, this.#size);
      this.cuts++;
    } else this.#extend(size);
    this.#size = size;
  }

  read(offset: number, length: number): Uint8Array {
    return Uint8Array.from(this.#bytes.subarray(offset, Math.min(offset + length, this.#size)));
  }

  apply(change: Change): void {
    if (change.kind === 'write') this.write(change.offset, change.bytes);
    else this.truncate(change.size);
  }

  #extend(size: number): void {
    if (size > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(size, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#size = Math.max(this.#size, size);
  }
}

export class SimulatedDisk {
  /** May be set while the world runs: space is taken away, or freed. */
  capacityBytes: number;
  readonly #queue: EventQueue;
  readonly #name: string;
  readonly #draws: Draws;
  readonly #asMade: DiskOptions;
  #options: DiskOptions;
  readonly #onOperation: (operation: DiskOperation, file: string) => void;
  readonly #entries = new Map<string, Inode>();
  readonly #durableEntries = new Map<string, Inode>();
  readonly #unsyncedEntries: EntryChange[] = [];
  #forgottenEntries = 0;
  readonly #inFlight = new Set<Operation>();
  readonly #faults: { fault: DiskFault; left: number }[] = [];
  #operations = 0;
  #crashes = 0;

  constructor(
    queue: EventQueue,
    seed: number,
    name: string,
    options: Partial<DiskOptions> = {},
    onOperation: (operation: DiskOperation, file: string) => void = () => undefined,
  ) {
    this.#queue = queue;
    this.#onOperation = onOperation;
    this.#name = name;
    this.#draws = new Draws(seed, `${name}/disk`);
    this.#asMade = { ...DISK_OPTIONS_DEFAULT, ...options };
    this.#options = this.#asMade;
    this.capacityBytes = this.#options.capacityBytes;
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const inode of this.#entries.values()) bytes += inode.cached.size;
    return bytes;
  }

  inject(fault: DiskFault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 });
  }

  /** From now on operations take as long as when it was made, but for this. */
  shape(options: Partial<DiskOptions> = {}): void {
    this.#options = { ...this.#asMade, ...options };
  }

  /** Puts a file on the medium, as if it had always been there. */
  place(name: string, bytes: Uint8Array): void {
    const inode = makeInode();
    for (const content of [inode.cached, inode.durable]) content.write(0, bytes);
    this.#entries.set(name, inode);
    this.#durableEntries.set(name, inode);
  }

  /** Reads for an onlooker, whom no fault hits. */
  withoutFaults<T>(read: () => T): T {
    const faults = this.#faults.splice(0);
    try {
      return read();
    } finally {
      this.#faults.push(...faults);
    }
  }

  /** Ends all injected faults. */
  repair(): void {
    this.#faults.length = 0;
  }

  /** Names that are sure to be there after a power loss, for an onlooker. */
  durableNames(): Iterable<string> {
    return this.#durableEntries.keys();
  }

  /** What is sure to be in that file then; undefined if there is no such name. */
  durableFile(name: string): DurableFile | undefined {
    return this.#durableEntries.get(name)?.durable;
  }

  /** The disk as one process sees it. */
  mount(owner: EventOwner): Disk {
    return {
      name: this.#name,
      list: () => this.#list(),
      open: (name) => this.#open(owner, name),
      rename: (from, to, done) => this.#start(owner, 'rename', to, done, (part) => this.#rename(from, to, part)),
      remove: (name, done) => this.#start(owner, 'remove', name, done, (part) => this.#remove(name, part)),
      syncDirectory: (done) => {
        const upTo = this.#forgottenEntries + this.#unsyncedEntries.length;
        this.#start(owner, 'syncDirectory', '', done, (part) => this.#syncEntries(upTo, part));
      },
    };
  }

  /** The process was killed: the page cache stays, what was in flight got anywhere. */
  onKilled(): void {
    for (const operation of [...this.#inFlight]) {
      operation.event.cancelled = true;
      operation.perform(this.#draws.u32(wordOf('kill'), ++this.#operations) / 0x1_0000_0000);
    }
    this.#inFlight.clear();
    for (const inode of this.#entries.values()) inode.changing = false;
  }

  /** The power failed. What the machine finds when it is back, by file. */
  onPowerLoss(): Map<string, CrashImage> {
    this.onKilled();
    const crash = ++this.#crashes;
    const kept = this.#draws.between([0, this.#unsyncedEntries.length], wordOf('entries'), crash);
    for (const change of this.#unsyncedEntries.slice(0, kept)) applyEntry(this.#durableEntries, change);
    this.#unsyncedEntries.length = 0;
    this.#entries.clear();
    const images = new Map<string, CrashImage>();
    for (const [name, inode] of this.#durableEntries) {
      const key = wordOf(name);
      const image = CRASH_IMAGES[this.#draws.u32(key, crash) % CRASH_IMAGES.length] ?? 'lost';
      const survivor = makeInode();
      const found = this.#imageOf(inode, image, key + crash);
      survivor.durable.write(0, found.read(0, found.size));
      survivor.cached.write(0, found.read(0, found.size));
      this.#entries.set(name, survivor);
      images.set(name, image);
    }
    for (const [name, inode] of this.#entries) this.#durableEntries.set(name, inode);
    return images;
  }

  /** The page cache itself is no image: what a failed sync dropped is still in it, and will never be written. */
  #imageOf({ durable, unsynced }: Inode, image: CrashImage, key: number): Content {
    switch (image) {
      case 'lost':
        return durable;
      case 'kept':
        return withChanges(durable, unsynced);
      case 'prefix':
        return withChanges(durable, unsynced.slice(0, this.#draws.between([0, unsynced.length], key)));
      case 'torn': {
        const kept = this.#draws.between([0, unsynced.length], key);
        const survivor = withChanges(durable, unsynced.slice(0, kept));
        const next = unsynced[kept];
        if (next?.kind === 'write') survivor.write(next.offset, next.bytes.subarray(0, this.#tornLength(next, key)));
        return survivor;
      }
      case 'pages':
        return this.#somePages(durable, withChanges(durable, unsynced), key);
    }
  }

  /** A write is torn where a sector ends. */
  #tornLength({ offset, bytes }: { offset: number; bytes: Uint8Array }, key: number): number {
    const end = this.#draws.between([offset, offset + bytes.length], key, 1);
    return Math.max(Math.floor(end / SECTOR_BYTES) * SECTOR_BYTES - offset, 0);
  }

  /** Each page that differs is the old or the new one. A hole is zeros. */
  #somePages(before: Content, after: Content, key: number): Content {
    const survivor = withChanges(before, []);
    for (let page = 0; page * PAGE_BYTES < after.size; page++) {
      if (this.#draws.chance(0.5, key, page + 2)) continue;
      survivor.write(page * PAGE_BYTES, after.read(page * PAGE_BYTES, PAGE_BYTES));
    }
    return survivor;
  }

  // --- the directory

  #list(): string[] {
    this.#throwFault('list', '');
    return [...this.#entries.keys()].sort();
  }

  #open(owner: EventOwner, name: string): DiskFile {
    this.#throwFault('open', name);
    let inode = this.#entries.get(name);
    if (inode === undefined) {
      inode = makeInode();
      this.#changeEntry({ kind: 'create', name, inode });
    }
    return this.#file(owner, name, inode);
  }

  #rename(from: string, to: string, part: number): void {
    if (!this.#entries.has(from)) throw new SystemError('ENOENT', `rename ${from} to ${to}`);
    if (part >= 0.5) this.#changeEntry({ kind: 'rename', from, to });
  }

  #remove(name: string, part: number): void {
    if (!this.#entries.has(name)) throw new SystemError('ENOENT', `remove ${name}`);
    if (part >= 0.5) this.#changeEntry({ kind: 'remove', name });
  }

  #changeEntry(change: EntryChange): void {
    applyEntry(this.#entries, change);
    this.#unsyncedEntries.push(change);
  }

  #syncEntries(upTo: number, part: number): void {
    if (part < 1) return;
    while (this.#forgottenEntries < upTo) {
      const change = this.#unsyncedEntries.shift();
      if (change === undefined) return;
      this.#forgottenEntries++;
      applyEntry(this.#durableEntries, change);
    }
  }

  // --- one file

  #file(owner: EventOwner, name: string, inode: Inode): DiskFile {
    let open = true;
    /** What is asked of a closed file fails like any other operation: later. */
    const start = (kind: DiskOperation, done: Done, perform: (part: number) => void, failed?: () => void) => {
      const refused = () => {
        throw new SystemError('EBADF', `${kind} ${name}`);
      };
      this.#start(owner, kind, name, done, open ? perform : refused, failed);
    };
    const change = (kind: 'write' | 'truncate', done: Done, perform: (part: number) => void) => {
      if (inode.changing && open) throw new Error(`a second write or truncate of ${name} while one is in flight`);
      inode.changing = true;
      const settled: Done = (error) => {
        inode.changing = false;
        done(error);
      };
      start(kind, settled, perform);
    };
    return {
      get size() {
        return inode.cached.size;
      },
      readAt: (offset, length) => {
        if (!open) throw new SystemError('EBADF', `read ${name}`);
        this.#throwFault('read', name);
        return inode.cached.read(offset, length);
      },
      write: (offset, bytes, done) => {
        change('write', done, (part) => this.#write(inode, name, offset, bytes, part));
      },
      truncate: (size, done) => {
        change('truncate', done, (part) => {
          if (part >= 0.5) applyCached(inode, { kind: 'truncate', size });
        });
      },
      sync: (done) => {
        const upTo = inode.forgotten + inode.unsynced.length;
        const perform = (part: number) => {
          if (part === 1) syncInode(inode, upTo, true);
        };
        start('sync', done, perform, () => syncInode(inode, upTo, false));
      },
      close: () => {
        open = false;
      },
    };
  }

  #write(inode: Inode, name: string, offset: number, bytes: Uint8Array, part: number): void {
    const wanted = part === 1 ? bytes.length : Math.floor(bytes.length * part);
    const free = Math.max(this.capacityBytes - this.usedBytes, 0);
    const room = Math.max(inode.cached.size - offset, 0) + free;
    // Copied only now: who changes the bytes before the write is done finds the change on the disk.
    const written = Uint8Array.from(bytes.subarray(0, Math.min(wanted, room)));
    applyCached(inode, { kind: 'write', offset, bytes: written });
    if (wanted > room) throw new SystemError('ENOSPC', `write of ${bytes.length} bytes to ${name}`);
  }

  // --- operations

  /**
   * Starts an operation that ends after its latency: the kernel performs it then, and the process hears of it when it can.
   * @param failed what an injected fault does to the file
   */
  #start(
    owner: EventOwner,
    kind: DiskOperation,
    name: string,
    done: Done,
    perform: (part: number) => void,
    failed?: () => void,
  ): void {
    const number = ++this.#operations;
    this.#onOperation(kind, name);
    const source = new Source(this.#queue, owner, `${this.#name}/${number}`);
    const fault = this.#takeFault(kind, name);
    let error: Error | null = null;
    const effect = () => {
      this.#inFlight.delete(operation);
      try {
        if (fault === undefined) perform(1);
        else failed?.();
      } catch (cause) {
        if (!(cause instanceof SystemError)) throw cause;
        error = cause;
      }
    };
    if (fault !== undefined) error = new SystemError(fault.code, `${kind} ${name}`);
    const event = source.schedule(this.#queue.nowUs + this.#latencyUs(kind, name, number), {
      kind,
      effect,
      run: () => done(error),
    });
    const partly = (part: number) => {
      try {
        if (fault === undefined) perform(part);
      } catch (cause) {
        if (!(cause instanceof SystemError)) throw cause; // a refusal that nobody is left to hear
      }
    };
    const operation: Operation = { event, perform: partly };
    this.#inFlight.add(operation);
  }

  #latencyUs(kind: DiskOperation, name: string, number: number): number {
    const { writeMs, syncMs, stallRate, stallMs } = this.#options;
    const range = kind === 'write' || kind === 'truncate' ? writeMs : syncMs;
    const key = wordOf(name);
    const us = this.#draws.between([Math.ceil(range[0] * 1000), Math.ceil(range[1] * 1000)], key, number);
    if (!this.#draws.chance(stallRate, key + 1, number)) return Math.max(us, 1);
    return us + this.#draws.between([stallMs[0] * 1000, stallMs[1] * 1000], key + 2, number);
  }

  #takeFault(operation: DiskOperation, name: string): DiskFault | undefined {
    const found = this.#faults.find(
      ({ fault, left }) => left > 0 && fault.operation === operation && name.startsWith(fault.namePrefix ?? ''),
    );
    if (found !== undefined) found.left--;
    return found?.fault;
  }

  #throwFault(operation: DiskOperation, name: string): void {
    const fault = this.#takeFault(operation, name);
    if (fault !== undefined) throw new SystemError(fault.code, `${operation} ${name}`);
  }
}

const makeInode = (): Inode => ({
  cached: new Content(),
  durable: new Content(),
  unsynced: [],
  forgotten: 0,
  changing: false,
});

const withChanges = (content: Content, changes: readonly Change[]): Content => {
  const changed = new Content();
  changed.write(0, content.read(0, content.size));
  for (const change of changes) changed.apply(change);
  return changed;
};

const applyEntry = (entries: Map<string, Inode>, change: EntryChange): void => {
  switch (change.kind) {
    case 'create':
      entries.set(change.name, change.inode);
      return;
    case 'remove':
      entries.delete(change.name);
      return;
    case 'rename': {
      const inode = entries.get(change.from);
      if (inode === undefined) return;
      entries.delete(change.from);
      entries.set(change.to, inode);
    }
  }
};

const applyCached = (inode: Inode, change: Change): void => {
  inode.cached.apply(change);
  inode.unsynced.push(change);
};

/** Takes changes off the list, onto the medium or, after a failed sync, to nowhere. */
const syncInode = (inode: Inode, upTo: number, succeeded: boolean): void => {
  while (inode.forgotten < upTo) {
    const change = inode.unsynced.shift();
    if (change === undefined) return;
    inode.forgotten++;
    if (succeeded) inode.durable.apply(change);
  }
};
