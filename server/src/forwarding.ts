import { JuteReader, type SessionId, txn as txnCodec } from 'zookeeper-protocol-ts';
import type { Agreement } from './agreement.ts';
import { Fifo } from './fifo.ts';
import { assert } from './invariant.ts';
import type { Request } from './request/request.ts';
import type { Delivered, Writes } from './writes.ts';
import type { Proposal } from './zab/proposal.ts';

/**
 * The writes of a server that follows or observes: the leader orders them, and their outcome comes back with what is committed
 * (`FollowerRequestProcessor`, `CommitProcessor`). A transaction belongs to the oldest request of its session that is under way,
 * if it has its xid: whatever else a session's transactions are, they were asked for elsewhere (ZOOKEEPER-1863).
 */
export class Forwarding<R extends Request> implements Writes<R> {
  readonly #agreement: Pick<Agreement, 'toLeader'>;
  /** Forwarded and not answered, by session, oldest first. */
  readonly #forwarded = new Map<SessionId, Fifo<R>>();
  readonly #syncs = new Fifo<R>();

  constructor(agreement: Pick<Agreement, 'toLeader'>) {
    this.#agreement = agreement;
  }

  submit(request: R): void {
    let line = this.#forwarded.get(request.sessionId);
    if (line === undefined) {
      line = new Fifo();
      this.#forwarded.set(request.sessionId, line);
    }
    line.push(request);
    this.#forward(request);
  }

  sync(request: R): void {
    this.#syncs.push(request);
    this.#forward(request);
  }

  /** The leader answers syncs in their order. @returns the request that asked for it */
  onSyncCompleted(): R {
    const request = this.#syncs.shift();
    assert(request !== undefined, 'REQ-2: a sync is completed once');
    return request;
  }

  onDeliver({ bytes }: Proposal): Delivered<R> {
    const txn = txnCodec.read(new JuteReader(bytes));
    const { sessionId, cxid } = txn.header;
    const line = this.#forwarded.get(sessionId);
    const oldest = line?.peek();
    const isOurs = oldest !== undefined && oldest.xid === cxid;
    if (isOurs) line?.shift();
    // Also when its session has ended: what was asked for behind that comes back as refusals, each in its turn.
    if (line?.length === 0) this.#forwarded.delete(sessionId);
    return { txn, request: isOurs ? oldest : undefined };
  }

  onApplied(): void {
    // Nothing was prepared here.
  }

  #forward({ sessionId, xid, type, body, origin }: R): void {
    const identities = origin?.identities ?? [];
    const request = { sessionId, cxid: xid, type, body: body.peekRemaining(), identities };
    this.#agreement.toLeader({ kind: 'request', request });
  }
}
