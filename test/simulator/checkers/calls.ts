/**
 * What clients were told, against the history and its model, when both are complete. The zxid in every reply says where in the
 * history it stands, so nothing has to be searched:
 *
 * - B1 an acknowledged write is in the history, at that zxid; B2 behind everything that was acknowledged before it was asked for;
 * - B3 with the result that it has there; B4 no request is in it twice; B8 a multi is there as a whole, or not at all;
 * - B5 a read shows exactly the state at its zxid; B7 behind a sync, at least what was acknowledged when the sync was asked for;
 * - B6 the zxids of a session never fall, on whatever servers, and its writes are in the order in which they were asked for;
 * - B9 the name of a sequential znode has the number of creates below its parent before it;
 * - C1 ephemerals live as long as their sessions (in the model); D1 D2 a watch tells, once, before any reply that shows the change;
 * - D3 a watch that is set again on another connection tells at once what has changed meanwhile, and nothing else;
 * - D4 when all is quiet, everything has been told; E2 every call has an end.
 */
import {
  CreateMode,
  ErrorCode,
  EventType,
  OpCode,
  type SessionId,
  type Txn,
  toHex,
  type Zxid,
} from 'zookeeper-protocol-ts';
import type { Attachment, Call, Item, Outcome, Records } from '../workload.ts';
import { isWrite } from '../workload.ts';
import type { HistoryChecker } from './history.ts';
import type { HistoryModel } from './model.ts';

/** Refused without a place in the history. */
const WITHOUT_TXN: readonly number[] = [ErrorCode.SESSION_MOVED, ErrorCode.SESSION_EXPIRED, ErrorCode.THROTTLED_OP];

type Reply = Extract<Outcome, { readonly kind: 'replied' }>;
type WatchEvent = Pick<Extract<Item, { readonly kind: 'event' }>, 'path' | 'type'>;

export class CallChecker {
  readonly marks = new Map<string, number>();
  readonly #history: HistoryChecker;
  readonly #model: HistoryModel;
  readonly #lastZxid = new Map<SessionId, Zxid>();
  readonly #syncFloor = new Map<SessionId, Zxid>();
  readonly #written = new Map<string, Txn>();

  constructor(history: HistoryChecker, model: HistoryModel) {
    this.#history = history;
    this.#model = model;
    this.#indexWrites();
  }

  check({ calls, attachments }: Records): void {
    for (const call of calls) {
      if (call.outcome.kind === 'pending') throw new Error(`E2: ${describe(call)} has no end`);
      if (call.outcome.kind === 'unknown' && isWrite(call.request)) this.#checkUnknown(call);
    }
    for (const attachment of attachments) {
      for (const item of attachment.items) {
        if (item.kind !== 'reply' || item.call.outcome.kind !== 'replied') continue;
        this.#checkReply(item.call, item.call.outcome);
      }
      this.#checkWatches(attachment);
    }
  }

  #indexWrites(): void {
    const lastXid = new Map<SessionId, number>();
    for (const txn of this.#history.txns) {
      const { sessionId, cxid, zxid, type } = txn.header;
      if (cxid === 0 || type === OpCode.createSession || type === OpCode.closeSession) continue;
      const key = `${sessionId} ${cxid}`;
      const other = this.#written.get(key);
      if (other !== undefined)
        throw new Error(`B4: ${toHex(other.header.zxid)} and ${toHex(zxid)} are the same request ${key}`);
      this.#written.set(key, txn);
      // What arrives late from a server that the session has left is refused there, and has its place all the same.
      if (txn.body.type === OpCode.error) continue;
      if (cxid < (lastXid.get(sessionId) ?? 0)) throw new Error(`B6: request ${key} comes behind a later one`);
      lastXid.set(sessionId, cxid);
    }
  }

  #checkUnknown(call: Call): void {
    const zxid = this.#written.get(`${call.session} ${call.xid}`)?.header.zxid;
    this.#mark(zxid === undefined ? 'unknown, not done' : 'unknown, done');
    if (zxid !== undefined && zxid <= call.floor)
      throw new Error(`B2: ${describe(call)} is at ${toHex(zxid)}, and ${toHex(call.floor)} was acknowledged before`);
  }

  #checkReply(call: Call, reply: Reply): void {
    const { request, session } = call;
    if (WITHOUT_TXN.includes(reply.err)) return this.#mark('refused without a zxid');
    const last = this.#lastZxid.get(session) ?? 0n;
    if (reply.zxid < last) throw new Error(`B6: ${describe(call)} after a reply at ${toHex(last)}`);
    this.#lastZxid.set(session, reply.zxid);
    const floor = this.#syncFloor.get(session) ?? 0n;
    if (reply.zxid < floor) throw new Error(`B7: ${describe(call)} behind a sync that promised ${toHex(floor)}`);
    this.#mark(reply.err === 0 ? request.kind : `${request.kind} refused`);
    switch (request.kind) {
      case 'get':
      case 'children':
        return this.#checkRead(call, reply);
      case 'sync':
        if (reply.zxid < call.floor) throw new Error(`B7: ${describe(call)}, ${toHex(call.floor)} was acknowledged`);
        this.#syncFloor.set(session, call.floor);
        return;
      case 'close':
        return;
      default:
        return this.#checkWrite(call, reply);
    }
  }

  #checkWrite(call: Call, { zxid, err, answer }: Reply): void {
    const txn = this.#history.find(zxid);
    if (txn === undefined || txn.header.sessionId !== call.session || txn.header.cxid !== call.xid)
      throw new Error(`B1: ${describe(call)} is not in the history`);
    if (zxid <= call.floor) throw new Error(`B2: ${describe(call)}, ${toHex(call.floor)} was acknowledged before`);
    const { body } = txn;
    if (body.type === OpCode.error) {
      if (body.err !== err) throw new Error(`B3: ${describe(call)} is error ${body.err} in the history`);
      return;
    }
    if (body.type === OpCode.multi) {
      const isRefused = body.txns.some(({ type }) => type === OpCode.error);
      if (isRefused !== (answer.isRefused ?? true)) throw new Error(`B8: ${describe(call)}`);
      return;
    }
    if (err !== 0) throw new Error(`B3: ${describe(call)} has happened`);
    if ('path' in body && answer.path !== undefined && body.path !== answer.path)
      throw new Error(`B3: ${describe(call)} has created ${body.path}`);
    if ('parentCversion' in body && isSequential(call.request)) {
      // The model has compared the count with the history.
      const expected = `${call.request.path}${String(body.parentCversion - 1).padStart(10, '0')}`;
      if (body.path !== expected) throw new Error(`B9: ${describe(call)}, and ${expected} was next`);
    }
    if (body.type === OpCode.setData && answer.stat?.version !== body.version)
      throw new Error(`B3: ${describe(call)} has made version ${body.version}`);
  }

  #checkRead(call: Call, { zxid, err, answer }: Reply): void {
    const { request } = call;
    if (request.kind !== 'get' && request.kind !== 'children') return;
    const state = this.#model.at(request.path, zxid);
    if (state === undefined) {
      if (err !== ErrorCode.NO_NODE) throw new Error(`B5: ${describe(call)} shows what there is not`);
      return;
    }
    const { stat, data, children } = answer;
    const isRight =
      request.kind === 'get'
        ? data === state.data &&
          stat?.version === state.version &&
          stat.mzxid === state.mzxid &&
          stat.czxid === state.czxid &&
          stat.ephemeralOwner === state.owner
        : children?.join() === state.children.join();
    if (err !== 0 || !isRight) throw new Error(`B5: ${describe(call)} shows ${show(answer)} for ${show(state)}`);
  }

  /** One-shot data watches: what the first change behind their reply is, they tell before any reply that shows it. */
  #checkWatches({ carried, items }: Attachment): void {
    /** What each path that is watched is to tell: at which zxid it changes, if it does. */
    const watched = new Map<string, Zxid | undefined>();
    for (const path of carried.paths) watched.set(path, this.#model.nextDataChange(path, carried.since));
    const rewatched = items.find(({ kind }) => kind === 'rewatched');
    const rewatchedAt = rewatched?.kind === 'rewatched' ? rewatched.zxid : undefined;
    let isCatchingUp = carried.paths.length > 0;
    for (const item of items) {
      switch (item.kind) {
        case 'event':
          if (!watched.has(item.path)) throw new Error(`D2: an event about ${item.path}, which nobody watches`);
          if (isCatchingUp) this.#checkLateEvent(item, watched.get(item.path), rewatchedAt);
          else this.#checkEvent(item, watched.get(item.path));
          watched.delete(item.path);
          break;
        case 'rewatched':
          isCatchingUp = false;
          this.#mark('watches set again');
          this.#requireTold(watched, item.zxid, () => 'D3: watches are set again');
          break;
        case 'rested':
          this.#mark('rested');
          this.#requireTold(watched, item.zxid, () => 'D4: all is quiet');
          break;
        case 'reply': {
          const { request, outcome } = item.call;
          if (outcome.kind !== 'replied') break;
          this.#requireTold(watched, outcome.zxid, () => `D1: ${describe(item.call)}`);
          if (request.kind !== 'get' || !request.watch || outcome.err !== 0 || watched.has(request.path)) break;
          watched.set(request.path, this.#model.nextDataChange(request.path, outcome.zxid));
        }
      }
    }
  }

  #requireTold(watched: ReadonlyMap<string, Zxid | undefined>, zxid: Zxid, when: () => string): void {
    for (const [path, due] of watched)
      if (due !== undefined && due <= zxid)
        throw new Error(`${when()} before the event about ${path} at ${toHex(due)}`);
  }

  #checkEvent({ path, type }: WatchEvent, due: Zxid | undefined): void {
    if (due === undefined) throw new Error(`D2: an event about ${path}, which does not change`);
    this.#checkType({ path, type }, due);
    this.#mark('watch told');
  }

  /** Of what has changed while the client was away, the state tells it that there is when the watch is set again. */
  #checkLateEvent({ path, type }: WatchEvent, due: Zxid | undefined, rewatchedAt: Zxid | undefined): void {
    if (due === undefined) throw new Error(`D3: an event about ${path}, which does not change`);
    // The connection ended before that was known.
    if (rewatchedAt === undefined) return;
    if (due > rewatchedAt) throw new Error(`D3: an event about ${path} at ${toHex(rewatchedAt)}, too early`);
    this.#checkType({ path, type }, rewatchedAt);
    this.#mark('watch told after a reconnect');
  }

  #checkType({ path, type }: WatchEvent, zxid: Zxid): void {
    const isThere = this.#model.at(path, zxid) !== undefined;
    if (type !== (isThere ? EventType.NodeDataChanged : EventType.NodeDeleted))
      throw new Error(`D2: event ${type} about ${path}, which is ${isThere ? 'there' : 'gone'} at ${toHex(zxid)}`);
  }

  #mark(name: string): void {
    this.marks.set(name, (this.marks.get(name) ?? 0) + 1);
  }
}

const isSequential = (request: Call['request']): request is Extract<Call['request'], { readonly kind: 'create' }> =>
  request.kind === 'create' &&
  (request.mode === CreateMode.EPHEMERAL_SEQUENTIAL || request.mode === CreateMode.PERSISTENT_SEQUENTIAL);

const show = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? toHex(each) : each));

const describe = ({ request, session, xid, outcome }: Call): string =>
  `${show(request)}, request ${xid} of session ${toHex(session)}, ${show(outcome)}`;
