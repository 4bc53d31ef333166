/**
 * The one history that the servers of an ensemble agree on, and the checks that need nothing else:
 *
 * - A1 every server applies it in order and without a hole;
 * - A2 the same zxid is the same tree everywhere, also after a snapshot or a truncation; an established leader has all of it;
 * - A4 A5 the counters of an epoch have no gap, and epochs rise;
 * - A6 an epoch has one leader; A7 the epochs of a server rise;
 * - A9 what a server has when it begins to serve is the state at the zxid that it claims.
 *
 * It grows by what a leader has delivered, and by what was in a leader's log when its reign began: that becomes history then.
 */
import { counterOf, epochOf, type Txn, toHex, type Zxid } from 'zookeeper-protocol-ts';
import type { Role } from '../../../server/src/quorum-peer.ts';
import type { ObservedServer, Onlooker } from '../ensemble.ts';

/**
 * A reign began with transactions that its leader had got in a snapshot, from a leader who was never established: which ones they
 * are stands in no log of its. Nothing can be said about such a life from here on.
 */
export class HistoryUnknown extends Error {
  override readonly name = 'HistoryUnknown';
}

export class HistoryChecker implements Onlooker {
  /** In the order of their zxids. */
  readonly txns: Txn[] = [];
  readonly marks = new Map<string, number>();
  readonly #index = new Map<Zxid, number>();
  readonly #digests = new Map<Zxid, bigint>();
  readonly #leaders = new Map<number, string>();
  /** The epoch that each server was in last. */
  readonly #epochs = new Map<string, number>();

  find(zxid: Zxid): Txn | undefined {
    const index = this.#index.get(zxid);
    return index === undefined ? undefined : this.txns[index];
  }

  get last(): Zxid | undefined {
    return this.txns.at(-1)?.header.zxid;
  }

  readonly onRecovered = (server: ObservedServer): void => {
    const { lastZxid } = server.database;
    if (this.#digests.has(lastZxid)) this.#compareDigest(server);
  };

  readonly onRole = (server: ObservedServer, role: Role | undefined): void => {
    this.#mark(role ?? 'looking');
    if (role === undefined) return;
    const { lastZxid } = server.database;
    const before = this.#epochs.get(server.name) ?? 0;
    if (server.epoch < before) throw new Error(`A7: ${server.name} was in epoch ${before}, and is in ${server.epoch}`);
    this.#epochs.set(server.name, server.epoch);
    if (role === 'leader') this.#onLeader(server, lastZxid);
    if (lastZxid !== 0n && !this.#index.has(lastZxid))
      throw new Error(`A3: ${server.name} serves as ${role} with ${toHex(lastZxid)}, which is no history`);
    this.#compareDigest(server);
  };

  readonly onDelivered = (server: ObservedServer, delivered: Txn, before: bigint): void => {
    const { zxid } = delivered.header;
    // What is delivered before the reign begins is looked at when it does.
    if (server.role === undefined) return;
    if (!this.#index.has(zxid)) this.#extend(server, delivered);
    const previous = this.txns[(this.#index.get(zxid) as number) - 1]?.header.zxid ?? 0n;
    if (previous !== before)
      throw new Error(`A1: ${server.name} applies ${toHex(zxid)} to ${toHex(before)}, not ${toHex(previous)}`);
    this.#compareDigest(server);
  };

  /** A leader that was held up may be established when others have gone on, in later epochs. */
  #onLeader(server: ObservedServer, lastZxid: Zxid): void {
    const { epoch } = server;
    const other = this.#leaders.get(epoch);
    if (other !== undefined) throw new Error(`A6: ${other} and ${server.name} lead in epoch ${epoch}`);
    this.#leaders.set(epoch, server.name);
    const inherited = this.txns.findLast(({ header }) => epochOf(header.zxid) < epoch)?.header.zxid;
    if (inherited !== undefined && lastZxid < inherited)
      throw new Error(`A2: ${server.name} leads from ${toHex(lastZxid)}, and ${toHex(inherited)} was agreed on`);
    if (lastZxid === 0n || this.#index.has(lastZxid)) return;
    this.#mark('history from a log');
    for (const logged of this.#inLogs(server, lastZxid)) this.#extend(server, logged);
    if (!this.#index.has(lastZxid)) throw new HistoryUnknown(`nobody's log has all up to ${toHex(lastZxid)}`);
  }

  /** What its log has behind the history: all of that, or nothing if it came in a snapshot. */
  #inLogs(server: ObservedServer, upTo: Zxid): readonly Txn[] {
    const last = this.last ?? (0n as Zxid);
    const found = [...server.logged()].filter(({ header }) => header.zxid > last && header.zxid <= upTo);
    const first = found[0]?.header.zxid;
    const isWhole = first !== undefined && (first === last + 1n || counterOf(first) === 1);
    return isWhole && found.at(-1)?.header.zxid === upTo ? found : [];
  }

  #extend(server: ObservedServer, next: Txn): void {
    const { zxid } = next.header;
    const last = this.last ?? (0n as Zxid);
    const where = `${server.name}, ${toHex(zxid)} behind ${toHex(last)}`;
    if (server.role !== 'leader') throw new Error(`A3: ${where}: no leader has delivered it`);
    if (zxid <= last) throw new Error(`A5: ${where}`);
    const expected = epochOf(zxid) === epochOf(last) ? counterOf(last) + 1 : 1;
    if (counterOf(zxid) !== expected) throw new Error(`A4: ${where}: a gap`);
    this.#index.set(zxid, this.txns.length);
    this.txns.push(next);
  }

  #compareDigest({ name, database: { lastZxid, tree } }: ObservedServer): void {
    const { digest } = tree;
    const known = this.#digests.get(lastZxid);
    if (known === undefined) this.#digests.set(lastZxid, digest);
    else if (known !== digest) throw new Error(`A2: ${name} has another tree than others at ${toHex(lastZxid)}`);
  }

  #mark(name: string): void {
    this.marks.set(name, (this.marks.get(name) ?? 0) + 1);
  }
}
