import { ErrorCode, JuteWriter, OpCode, type Txn, type TxnBody, txn as txnCodec } from 'zookeeper-protocol-ts';
import type { Agreement } from './agreement.ts';
import type { ClientSessions } from './client-sessions.ts';
import type { ServerConfig } from './config.ts';
import type { Database } from './database.ts';
import { Fifo } from './fifo.ts';
import { ForwardedOrigin } from './forwarded-origin.ts';
import { assert } from './invariant.ts';
import type { Clock, RunLog } from './ports.ts';
import { OutstandingChanges } from './request/outstanding-changes.ts';
import { prepare } from './request/prepare.ts';
import type { Request } from './request/request.ts';
import type { Delivered, Writes } from './writes.ts';
import type { Proposal } from './zab/proposal.ts';

export interface ProposalsOptions {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly runLog: RunLog;
  readonly database: Database;
  readonly agreement: Pick<Agreement, 'nextZxid' | 'step'>;
  readonly sessions: ClientSessions;
}

/** The writes of a server that leads, or is alone: what each becomes is decided here, and proposed. */
export class Proposals<R extends Request> implements Writes<R> {
  readonly #options: ProposalsOptions;
  readonly #changes: OutstandingChanges;
  readonly #txnWriter = new JuteWriter(TXN_CHUNK_BYTES);
  /** What was proposed and is not delivered yet, oldest first: the transactions behind the proposals' bytes. */
  readonly #proposed = new Fifo<{ readonly txn: Txn; readonly request: R }>();
  readonly #syncs = new Map<number, R>();
  #nextSync = 0;

  constructor(options: ProposalsOptions) {
    this.#options = options;
    this.#changes = new OutstandingChanges(options.database.tree);
  }

  submit(request: R): void {
    const { agreement, config, clock, database, runLog, sessions } = this.#options;
    const zxid = agreement.nextZxid;
    const { quotas } = database;
    const { isOpen } = sessions;
    const { origin } = request;
    const home = origin instanceof ForwardedOrigin ? origin.link : 'here';
    const body: TxnBody =
      origin !== undefined && sessions.hasMoved(request.sessionId, home)
        ? { type: OpCode.error, err: ErrorCode.SESSION_MOVED }
        : prepare(request, { zxid, changes: this.#changes, quotas, rules: config, isOpen });
    for (const line of quotas.takeWarnings()) runLog.warn(line);
    if (body.type === OpCode.closeSession) sessions.setClosing(request.sessionId);
    const txn: Txn = {
      header: { sessionId: request.sessionId, cxid: request.xid, zxid, time: clock.wallTime(), type: body.type },
      body,
      digest: undefined,
    };
    txnCodec.write(this.#txnWriter, txn);
    this.#proposed.push({ txn, request });
    agreement.step({ kind: 'propose', proposal: { zxid, bytes: this.#txnWriter.take() } });
  }

  sync(request: R): void {
    const id = this.#nextSync++;
    this.#syncs.set(id, request);
    this.#options.agreement.step({ kind: 'sync', id });
  }

  /** @returns the request that asked for it */
  onSyncCompleted(id: number): R {
    const request = this.#syncs.get(id);
    assert(request !== undefined, 'REQ-2: a sync is completed once');
    this.#syncs.delete(id);
    return request;
  }

  onDeliver(proposal: Proposal): Delivered<R> {
    const proposed = this.#proposed.shift();
    assert(proposed?.txn.header.zxid === proposal.zxid, 'ZAB-2: deliveries are in the order of the proposals');
    return proposed;
  }

  onApplied({ zxid }: Proposal): void {
    this.#changes.applied(zxid);
  }
}

/** Transactions are encoded into pieces of memory of this size. */
const TXN_CHUNK_BYTES = 64 * 1024;
