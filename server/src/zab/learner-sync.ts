import { counterOf, epochOf } from 'zookeeper-protocol-ts';
import { assert } from '../invariant.ts';
import { type LinkId, type LogPlace, type Output, send } from './contract.ts';
import type { History } from './history.ts';
import type { LearnerProgress } from './learner-progress.ts';
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
      case 'older':
        learner.phase = 'searching';
        return [{ kind: 'searchLog', link, zxid: lastZxid, upTo: this.#history.lastReadable }];
      default:
        learner.phase = 'syncing';
        return [send(link, { kind: sync.kind, zxid: sync.zxid }), ...committed(link, sync.proposals)];
    }
  }

  onLogSearched(learner: LearnerProgress, place: LogPlace | undefined): Output[] {
    if (place === undefined) return this.#sendSnapshot(learner);
    const { link, lastZxid } = learner;
    learner.phase = 'behind';
    learner.lastZxid = place.last;
    if (place.last === lastZxid || counterOf(lastZxid) === 0) {
      return [send(link, { kind: 'diff', zxid: this.#history.lastDelivered }), ...this.#sendMissing(learner)];
    }
    // It may have been cut in the middle of an epoch; of one that is over nobody knows how much of it was agreed on.
    if (epochOf(place.next) !== epochOf(lastZxid)) return this.#sendSnapshot(learner);
    return [send(link, { kind: 'trunc', zxid: place.last }), ...this.#sendMissing(learner)];
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
