/**
 * The one history that the servers of an ensemble agree on, and the checks that need nothing else:
 *
 * - A1 every server applies it in order and without a hole;
 * - A2 the same zxid is the same tree everywhere, also after a snapshot or a truncation; an established leader has all of it;
 * - A3 nothing is logged that an established leader has not proposed in its epoch, to the byte;
 * - A4 A5 the counters of an epoch have no gap, and epochs rise;
 * - A6 an epoch has one leader; A7 the epochs of a server rise;
 * - A9 what a server has when it begins to serve is the state at the zxid that it claims.
 *
 * It grows by what a leader has delivered, and by what had been proposed before a reign and is in its leader's log when it begins:
 * that becomes history then.
 */
import {
  counterOf,
  epochOf,
  JuteReader,
  makeZxid,
  type Txn,
  toEpoch,
  toHex,
  txn,
  ZERO_ZXID,
  type Zxid,
} from 'zookeeper-protocol-ts';
import type { Role } from '../../../server/src/quorum-peer.ts';
import type { Proposal } from '../../../server/src/zab/proposal.ts';
import type { ObservedServer, Onlooker } from '../ensemble.ts';

export class HistoryChecker implements Onlooker {
  /** In the order of their zxids. */
  readonly txns: Txn[] = [];
  readonly marks = new Map<string, number>();
  readonly #index = new Map<Zxid, number>();
  /** Whatever became of it: only established leaders propose, so a zxid is one proposal. */
  readonly #proposed = new Map<Zxid, Uint8Array>();
  readonly #digests = new Map<Zxid, bigint>();
  readonly #leaders = new Map<number, string>();
  /** The epoch that each server was in last. */
  readonly #epochs = new Map<string, number>();
  readonly #beginning: Zxid;

  /** @param beginning where the history ends that all have from the start */
  constructor(beginning: Zxid = ZERO_ZXID) {
    this.#beginning = beginning;
  }

  find(zxid: Zxid): Txn | undefined {
    const index = this.#index.get(zxid);
    return index === undefined ? undefined : this.txns[index];
  }

  /** Where it ends. */
  get last(): Zxid {
    return this.txns.at(-1)?.header.zxid ?? this.#beginning;
  }

  readonly onRecovered = (server: ObservedServer): void => {
    if (this.#digests.has(server.database.lastZxid)) this.#compareDigest(server);
  };

  readonly onRole = (server: ObservedServer, role: Role | undefined): void => {
    this.#mark(role ?? 'looking');
    if (role === undefined) return;
    const { lastZxid } = server.database;
    const { epoch } = server;
    const before = this.#epochs.get(server.name) ?? 0;
    if (epoch < before) throw new Error(`A7: ${server.name} was in epoch ${before}, and is in ${epoch}`);
    this.#epochs.set(server.name, epoch);
    if (role === 'leader') this.#onLeader(server, { epoch, lastZxid });
    if (lastZxid !== this.#beginning && !this.#index.has(lastZxid))
      throw new Error(`A3: ${server.name} serves as ${role} with ${toHex(lastZxid)}, which is no history`);
    this.#compareDigest(server);
  };

  readonly onAppended = (server: ObservedServer, { zxid, bytes }: Proposal): void => {
    const proposed = this.#proposed.get(zxid);
    const what = `${server.name} logs ${toHex(zxid)}`;
    if (server.role === 'leader') {
      if (proposed !== undefined) throw new Error(`A3: ${what}, which was proposed before`);
      const epoch = this.#epochs.get(server.name);
      if (epochOf(zxid) !== epoch) throw new Error(`A3: ${what}, and leads in epoch ${epoch}`);
      this.#proposed.set(zxid, Uint8Array.from(bytes));
      return;
    }
    if (proposed === undefined) throw new Error(`A3: ${what}, which nobody has proposed`);
    if (Buffer.compare(proposed, bytes) !== 0) throw new Error(`A3: ${what}, and it was proposed otherwise`);
  };

  readonly onDelivered = (server: ObservedServer, { zxid, bytes }: Proposal, before: bigint): void => {
    // What is delivered before the reign begins is looked at when it does.
    if (server.role === undefined) return;
    if (!this.#index.has(zxid)) {
      if (server.role !== 'leader')
        throw new Error(`A3: ${server.name} delivers ${toHex(zxid)}, which no leader has delivered`);
      this.#extend(server, zxid);
    }
    const previous = this.txns[(this.#index.get(zxid) as number) - 1]?.header.zxid ?? this.#beginning;
    if (previous !== before)
      throw new Error(`A1: ${server.name} applies ${toHex(zxid)} to ${toHex(before)}, not ${toHex(previous)}`);
    const proposed = this.#proposed.get(zxid);
    if (proposed === undefined || Buffer.compare(proposed, bytes) !== 0)
      throw new Error(`A1: ${server.name} applies ${toHex(zxid)}, and it was proposed otherwise`);
    this.#compareDigest(server);
  };

  /** A leader that was held up may be established when others have gone on, in later epochs. */
  #onLeader(server: ObservedServer, { epoch, lastZxid }: { readonly epoch: number; readonly lastZxid: Zxid }): void {
    const other = this.#leaders.get(epoch);
    if (other !== undefined) throw new Error(`A6: ${other} and ${server.name} lead in epoch ${epoch}`);
    this.#leaders.set(epoch, server.name);
    const inherited = this.txns.findLast(({ header }) => epochOf(header.zxid) < epoch)?.header.zxid;
    if (inherited !== undefined && lastZxid < inherited)
      throw new Error(`A2: ${server.name} leads from ${toHex(lastZxid)}, and ${toHex(inherited)} was agreed on`);
    if (lastZxid <= this.last) return;
    this.#mark('history from a log');
    // Of one epoch at the most: what is before that became history when that epoch began.
    while (this.last < lastZxid) {
      const isSameEpoch = epochOf(this.last) === epochOf(lastZxid);
      this.#extend(server, isSameEpoch ? ((this.last + 1n) as Zxid) : makeZxid(toEpoch(epochOf(lastZxid)), 1));
    }
  }

  #extend(server: ObservedServer, zxid: Zxid): void {
    const { last } = this;
    const where = `${server.name}, ${toHex(zxid)} behind ${toHex(last)}`;
    const proposed = this.#proposed.get(zxid);
    if (proposed === undefined) throw new Error(`A3: ${where}: nobody has proposed it`);
    if (zxid <= last) throw new Error(`A5: ${where}`);
    const expected = epochOf(zxid) === epochOf(last) ? counterOf(last) + 1 : 1;
    if (counterOf(zxid) !== expected) throw new Error(`A4: ${where}: a gap`);
    this.#index.set(zxid, this.txns.length);
    this.txns.push(txn.read(new JuteReader(proposed)));
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
