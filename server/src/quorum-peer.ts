import type { ServerId, Zxid } from 'zookeeper-protocol-ts';
import type { Ensemble } from './ensemble.ts';
import type { Input, Output } from './zab/contract.ts';
import { Leader } from './zab/leader.ts';

/** What a server is at the moment. The words are those that `srvr` prints. */
export type Role = 'standalone';

/**
 * Agreement as a state machine: inputs in, outputs out, no clock, socket, file or randomness inside. An ensemble of one
 * needs no votes: the server leads from the start, on the history that it recovered.
 */
export class QuorumPeer {
  readonly #leader: Leader;

  constructor(options: { self: ServerId; ensemble: Ensemble; lastZxid: Zxid }) {
    this.#leader = new Leader(options);
  }

  get role(): Role {
    return 'standalone';
  }

  /** The zxid that the next proposal must have. */
  get nextZxid(): Zxid {
    return this.#leader.nextZxid;
  }

  /** Proposals not committed yet. */
  get outstanding(): number {
    return this.#leader.outstanding;
  }

  step(input: Input): Output[] {
    switch (input.kind) {
      case 'propose':
        return this.#leader.propose(input.proposal);
      case 'synced':
        return this.#leader.onSynced(input.zxid);
      case 'sync':
        return this.#leader.sync(input.id);
    }
  }
}
