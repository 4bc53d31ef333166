/**
 * What must hold of agreement, seen from outside, after every step of every server. There is one history: what an established
 * leader has delivered. It only grows, and
 *
 * - A1 every database that serves is a prefix of it, and every delivery walks along it;
 * - A2 nothing in it is ever lost: who is established as a leader has all of it;
 * - A3 only an established leader makes it longer, by what it has proposed;
 * - A4 A5 the counters of an epoch have no gaps, and epochs rise;
 * - A6 an epoch has one leader;
 * - A7 the epochs on a disk rise, and the current one is never above the accepted one;
 * - A8 its end is in the durable logs of a quorum when it gets there, and stays there.
 */
import { counterOf, type Epoch, epochOf, type ServerId, toHex } from 'zookeeper-protocol-ts';
import type { Ensemble } from '../../server/src/ensemble.ts';
import type { EpochKind } from '../../server/src/zab/contract.ts';
import type { AgreementPeer, Entry, Observer } from './agreement-peer.fixture.ts';

export class AgreementChecker implements Observer {
  readonly history: Entry[] = [];
  readonly #ensemble: Ensemble;
  readonly #peers: () => readonly AgreementPeer[];
  /** So many of what a server has applied have been compared. */
  readonly #compared = new Map<ServerId, number>();
  readonly #leaders = new Map<Epoch, ServerId>();
  readonly #proposed = new Set<string>();

  constructor(ensemble: Ensemble, peers: () => readonly AgreementPeer[]) {
    this.#ensemble = ensemble;
    this.#peers = peers;
  }

  onProposed(value: string): void {
    this.#proposed.add(value);
  }

  onRole = (peer: AgreementPeer): void => {
    if (peer.role === undefined) return;
    this.#compared.delete(peer.id);
    if (peer.role === 'leader') this.#onLeader(peer);
    this.#walk(peer);
  };

  onDeliver = (peer: AgreementPeer): void => {
    const { applied } = peer;
    const [before, last] = applied.slice(-2);
    if (last !== undefined && before !== undefined && last.zxid <= before.zxid)
      throw new Error(`A1: server ${peer.id} delivers ${toHex(last.zxid)} behind ${toHex(before.zxid)}`);
    if (peer.role !== undefined) this.#walk(peer);
  };

  onEpoch = (peer: AgreementPeer, which: EpochKind, before: number): void => {
    const { accepted, current } = peer.epochs;
    if (peer.epochs[which] < before)
      throw new Error(`A7: the ${which} epoch of server ${peer.id} falls from ${before} to ${peer.epochs[which]}`);
    if (current > accepted)
      throw new Error(`A7: server ${peer.id} has the current epoch ${current}, and accepted ${accepted}`);
  };

  onHistoryChanged = (peer: AgreementPeer): void => {
    this.#compared.delete(peer.id);
    this.#requireDurable(`after the log of server ${peer.id} has changed`);
  };

  /** At the end, when nothing goes on any more: everybody has everything. */
  checkSame(): void {
    for (const peer of this.#peers()) {
      this.#compared.delete(peer.id);
      this.#walk(peer);
      if (peer.applied.length !== this.history.length)
        throw new Error(`A1: server ${peer.id} has ${peer.applied.length} of ${this.history.length} transactions`);
    }
  }

  #onLeader(peer: AgreementPeer): void {
    const epoch = peer.peer.epochs.current;
    const other = this.#leaders.get(epoch);
    if (other !== undefined) throw new Error(`A6: servers ${other} and ${peer.id} lead in epoch ${epoch}`);
    this.#leaders.set(epoch, peer.id);
    // One that was held up may be established when others have gone on, in later epochs.
    const lost = this.history[peer.applied.length];
    if (lost !== undefined && epochOf(lost.zxid) < epoch)
      throw new Error(`A2: server ${peer.id} leads without ${toHex(lost.zxid)}`);
  }

  #walk(peer: AgreementPeer): void {
    const from = this.#compared.get(peer.id) ?? 0;
    for (let i = from; i < peer.applied.length; i++) {
      const entry = peer.applied[i] as Entry; // i is below the length
      const agreed = this.history[i];
      if (agreed === undefined) this.#extend(peer, entry);
      else if (agreed.zxid !== entry.zxid || agreed.value !== entry.value) {
        const [is, mustBe] = [entry, agreed].map(({ zxid, value }) => `${toHex(zxid)} ${value}`);
        throw new Error(`A1: transaction ${i} of server ${peer.id} is ${is}, and must be ${mustBe}`);
      }
    }
    this.#compared.set(peer.id, peer.applied.length);
  }

  #extend(peer: AgreementPeer, entry: Entry): void {
    const where = `server ${peer.id}, ${toHex(entry.zxid)}`;
    if (peer.role !== 'leader') throw new Error(`A3: ${where}: delivered before any leader has delivered it`);
    if (!this.#proposed.has(entry.value)) throw new Error(`A3: ${where}: nobody has proposed ${entry.value}`);
    const last = this.history.at(-1);
    const [epoch, counter] = [epochOf(entry.zxid), counterOf(entry.zxid)];
    const lastEpoch = last === undefined ? 0 : epochOf(last.zxid);
    const expected = last !== undefined && epoch === lastEpoch ? counterOf(last.zxid) + 1 : 1;
    if (counter !== expected) throw new Error(`A4: ${where}: counter ${expected} of epoch ${epoch} is missing`);
    if (epoch < lastEpoch) throw new Error(`A5: ${where}: comes after epoch ${lastEpoch}`);
    this.history.push(entry);
    this.#requireDurable(`when server ${peer.id} delivers it`);
  }

  #requireDurable(when: string): void {
    const index = this.history.length - 1;
    const last = this.history[index];
    if (last === undefined) return;
    const holders = this.#peers().filter(({ log, synced }) => index < synced && log[index]?.zxid === last.zxid);
    const ids = new Set(holders.map(({ id }) => id));
    // Counted here, and not as those who are checked count.
    const { voters } = this.#ensemble;
    if (voters.filter((voter) => ids.has(voter)).length > voters.length / 2) return;
    throw new Error(`A8: ${toHex(last.zxid)} is durable only on [${[...ids]}] ${when}`);
  }
}
