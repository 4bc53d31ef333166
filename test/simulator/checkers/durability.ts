/**
 * A8: where the history ends is in durable files of a quorum of voters when it gets there, and stays there, with all that is before
 * it. What is durable is read from the simulated media: bytes that a power loss leaves, under names that it leaves, in a log or
 * covered by a snapshot.
 */
import { type Txn, toHex, type Zxid } from 'zookeeper-protocol-ts';
import type { DurableFile, SimulatedDisk } from '../disk.ts';
import { DATA_FOLDER, type ObservedServer, type Onlooker } from '../ensemble.ts';
import type { World } from '../world.ts';

/** What has been agreed on. */
type AgreedHistory = Readonly<{ last: Zxid; txns: readonly Txn[] }>;

export interface DurabilityOptions {
  readonly world: Pick<World, 'disk'>;
  /** So many are there, `s1`, `s2` … */
  readonly voters: number;
  /** Asked before this checker is told of the same. */
  readonly history: AgreedHistory;
  /** Of a disk that may have lost what it had said was saved: such a server counts as one that has everything. */
  readonly isExcused: (name: string) => boolean;
}

export class DurabilityChecker implements Onlooker {
  readonly #history: AgreedHistory;
  readonly #media: readonly Medium[];
  readonly #majority: number;
  readonly #isExcused: (name: string) => boolean;
  #checked: Zxid;

  constructor({ world, voters, history, isExcused }: DurabilityOptions) {
    this.#history = history;
    this.#checked = history.last;
    this.#isExcused = isExcused;
    const names = Array.from({ length: voters }, (_, i) => `s${i + 1}`);
    this.#media = names.map((name) => new Medium(name, world.disk(name, DATA_FOLDER)));
    this.#majority = Math.floor(voters / 2) + 1;
  }

  readonly onDelivered = (server: ObservedServer): void => {
    const { last } = this.#history;
    // What is before it was looked at when its holders got their roles.
    if (last > this.#checked) this.#require((medium) => medium.has(last), `when ${server.name} delivers it`);
  };

  /** A server has a role again: its files may be others than before. */
  readonly onRole = (server: ObservedServer): void => this.check(`when ${server.name} has got or lost its role`);

  /** @param when for the message */
  check(when: string): void {
    this.#require((medium) => medium.hasAll(this.#history), when);
  }

  #require(isHolder: (medium: Medium) => boolean, when: string): void {
    const { last } = this.#history;
    if (last === 0n) return;
    this.#checked = last;
    const holders: string[] = [];
    for (const medium of this.#media) {
      if (this.#isExcused(medium.name) || isHolder(medium)) holders.push(medium.name);
      // Others may have it too.
      if (holders.length === this.#majority) return;
    }
    throw new Error(`A8: ${toHex(last)} is durable only on [${holders}] ${when}`);
  }
}

/** How far a log has been looked through. */
interface LookedThrough {
  readonly file: DurableFile;
  readonly cuts: number;
  readonly zxids: Set<Zxid>;
  /** Where the next transaction starts. */
  offset: number;
}

/** The disk of one server, as it is behind all caches. Logs only grow, so each byte is looked at once. */
class Medium {
  readonly name: string;
  readonly #disk: SimulatedDisk;
  readonly #logs = new Map<string, LookedThrough>();
  /** The one that something was found in last. */
  #newestLog = '';

  constructor(name: string, disk: SimulatedDisk) {
    this.name = name;
    this.#disk = disk;
  }

  /** Whether it has one transaction. */
  has(zxid: Zxid): boolean {
    const newest = this.#disk.durableFile(this.#newestLog);
    if (newest !== undefined && this.#lookThrough(this.#newestLog, newest).has(zxid)) return true;
    for (const { kind, name, file, first } of this.#files()) {
      if (kind === 'snapshot' && first >= zxid && isWhole(file)) return true;
      if (kind === 'snapshot' || first > zxid || !this.#lookThrough(name, file).has(zxid)) continue;
      this.#newestLog = name;
      return true;
    }
    return false;
  }

  /** Whether it would recover all of the history: a snapshot, and the transactions behind it. */
  hasAll({ txns }: AgreedHistory): boolean {
    const logged = new Set<Zxid>();
    let covered = 0n;
    for (const { kind, name, file, first } of this.#files()) {
      if (kind === 'log') for (const zxid of this.#lookThrough(name, file)) logged.add(zxid);
      else if (first > covered && isWhole(file)) covered = first;
    }
    return txns.every(({ header: { zxid } }) => zxid <= covered || logged.has(zxid));
  }

  *#files(): Generator<{
    readonly kind: string;
    readonly name: string;
    readonly file: DurableFile;
    readonly first: bigint;
  }> {
    for (const name of this.#disk.durableNames()) {
      const [, kind, hex] = /^(log|snapshot)\.([0-9a-f]+)$/.exec(name) ?? [];
      const file = this.#disk.durableFile(name);
      if (kind !== undefined && file !== undefined) yield { kind, name, file, first: BigInt(`0x${hex}`) };
    }
  }

  #lookThrough(name: string, file: DurableFile): ReadonlySet<Zxid> {
    let known = this.#logs.get(name);
    if (known?.file !== file || known.cuts !== file.cuts) {
      known = { file, cuts: file.cuts, zxids: new Set(), offset: HEADER_BYTES };
      this.#logs.set(name, known);
    }
    const bytes = Buffer.from(file.read(known.offset, file.size));
    let at = 0;
    while (at + ENTRY_HEAD_BYTES + ZXID_OFFSET + 8 < bytes.length) {
      const end = at + ENTRY_HEAD_BYTES + bytes.readInt32BE(at + 8);
      // A length of zeros is room for later; what is torn is no transaction either.
      if (end <= at + ENTRY_HEAD_BYTES || bytes[end] !== ENTRY_END) break;
      known.zxids.add(bytes.readBigInt64BE(at + ENTRY_HEAD_BYTES + ZXID_OFFSET) as Zxid);
      at = end + 1;
    }
    known.offset += at;
    return known.zxids;
  }
}

/** Its last section was written to its end. */
const isWhole = (file: DurableFile): boolean =>
  Buffer.compare(file.read(file.size - SNAPSHOT_END.length, SNAPSHOT_END.length), SNAPSHOT_END) === 0;

// storage.md: a header, then for each transaction checksum long, record buffer, "B"; a snapshot ends with the string "/".
const HEADER_BYTES = 16;
const ENTRY_HEAD_BYTES = 12;
const ZXID_OFFSET = 12;
const ENTRY_END = 0x42;
const SNAPSHOT_END = Uint8Array.of(0, 0, 0, 1, 0x2f);
