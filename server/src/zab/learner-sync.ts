import { counterOf, epochOf, type ServerId, type Zxid } from 'zookeeper-protocol-ts';
import { assert } from '../invariant.ts';
import { type LinkId, type LogPlace, type Output, send } from './contract.ts';
import type { History } from './history.ts';
import type { LearnerProgress } from './learner-progress.ts';
import type { QuorumMessage } from './messages.ts';
import type { Proposal } from './proposal.ts';

/**
 * How a learner gets all that its leader has delivered (`LearnerHandler.syncFollower`): what it lacks, from memory or from the log, or
 * a snapshot. While a snapshot or a part of the log goes out, at the pace at which the learner takes it, nothing is kept for it in
 * memory: what has been delivered since is read from the log, too, until the rest is at hand.
 *
 * What must hold: a learner is sent what follows its last transaction in this history, each once and in order (ZOOKEEPER-2418); in the
 * step in which it has all, its phase becomes `syncing`, and from then on it gets what is proposed, so nothing falls between the two.
 */
export class LearnerSync {
  readonly #history: History;
  /** Where the histories of those ended that were told to cut them. */
  readonly #cut = new Map<ServerId, Zxid>();

  constructor(history: History) {
    this.#history = history;
  }

  /** A learner has told where its history ends. */
  begin(learner: LearnerProgress): Output[] {
    const { link, lastZxid } = learner;
    const sync = this.#history.syncFor(lastZxid);
    switch (sync.kind) {
      case 'snap':
        return this.#sendSnapshot(learner);
      case 'trunc':
        if (this.#hasCutInVain(learner)) return this.#sendSnapshot(learner);
        break;
      case 'older':
        learner.phase = 'searching';
        return [{ kind: 'searchLog', link, zxid: lastZxid, upTo: this.#history.lastReadable }];
    }
    learner.phase = 'syncing';
    return [send(link, { kind: sync.kind, zxid: sync.zxid }), ...committed(link, sync.proposals)];
  }

  /** It comes with the same end again: what has to go is in its snapshot, or it would not come any further with any other cut. */
  #hasCutInVain({ id, lastZxid }: LearnerProgress): boolean {
    const isAgain = this.#cut.get(id) === lastZxid;
    this.#cut.set(id, lastZxid);
    return isAgain;
  }

  onLogSearched(learner: LearnerProgress, place: LogPlace | undefined): Output[] {
    if (place === undefined) return this.#sendSnapshot(learner);
    const { link, lastZxid } = learner;
    const isCut = place.last !== lastZxid && counterOf(lastZxid) !== 0;
    // It may have been cut in the middle of an epoch; of one that is over nobody knows how much of it was agreed on.
    if (isCut && (epochOf(place.next) !== epochOf(lastZxid) || this.#hasCutInVain(learner)))
      return this.#sendSnapshot(learner);
    learner.phase = 'behind';
    learner.lastZxid = place.last;
    const message: QuorumMessage = isCut
      ? { kind: 'trunc', zxid: place.last }
      : { kind: 'diff', zxid: this.#history.lastDelivered };
    return [send(link, message), ...this.#sendMissing(learner)];
  }

  onHistorySent(learner: LearnerProgress): Output[] {
    return this.#sendMissing(learner);
  }

  #sendSnapshot(learner: LearnerProgress): Output[] {
    const { link } = learner;
    learner.phase = 'behind';
    learner.lastZxid = this.#history.lastDelivered;
    return [send(link, { kind: 'snap', zxid: learner.lastZxid }), { kind: 'sendSnapshot', link }];
  }

  #sendMissing(learner: LearnerProgress): Output[] {
    const { link, lastZxid: after } = learner;
    const missing = this.#history.deliveredSince(after);
    if (missing !== undefined) {
      learner.phase = 'syncing';
      return committed(link, missing);
    }
    const upTo = this.#history.lastReadable;
    assert(upTo > after, 'LOG-7: what is delivered is at hand, or in the log');
    learner.lastZxid = upTo;
    return [{ kind: 'sendLog', link, after, upTo }];
  }
}

const committed = (link: LinkId, proposals: readonly Proposal[]): Output[] =>
  proposals.flatMap((proposal) => [
    send(link, { kind: 'proposal', proposal }),
    send(link, { kind: 'commit', zxid: proposal.zxid }),
  ]);
