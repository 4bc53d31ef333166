import {
  type Acl,
  ErrorCode,
  EventType,
  OpCode,
  parentOf,
  type SessionId,
  type Stat,
  type Txn,
  type TxnBody,
  type TxnHeader,
  ZERO_ZXID,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { assert, assertNever } from './invariant.ts';
import { DataTree } from './tree/data-tree.ts';
import { CONTAINER_OWNER, NO_OWNER, ttlOwner } from './tree/owner.ts';
import type { Znode } from './tree/znode.ts';

/**
 * The replicated state: the tree, the sessions, and the zxid of the last transaction that made them so (the original's
 * `ZKDatabase` and `DataTree.processTxn`). Every server of the ensemble applies the same transactions in the same order and
 * has the same database at the same zxid.
 *
 * Applying is idempotent: recovery replays the log over a snapshot that already has some of its effects. A transaction that
 * finds its work done, or its znode gone, is answered with an error code as a value; the live server never sees one, because
 * it proposes only what will succeed.
 */
export class Database {
  readonly tree: DataTree;
  /** Timeouts in ms, by session. */
  readonly sessions: Map<SessionId, number>;
  #lastZxid: Zxid;

  /** Empty, or what a snapshot holds. */
  constructor({ tree = new DataTree(), sessions = new Map(), lastZxid = ZERO_ZXID }: DatabaseContents = {}) {
    this.tree = tree;
    this.sessions = sessions;
    this.#lastZxid = lastZxid;
  }

  /** Of the last transaction that was applied, or of the snapshot. */
  get lastZxid(): Zxid {
    return this.#lastZxid;
  }

  /** Applies the next transaction. Its bytes may be reused afterwards. */
  apply(txn: Txn): Applied {
    const { header, body } = txn;
    if (header.zxid <= this.#lastZxid) {
      assert(false, 'TREE-4: the zxid of an applied transaction rises', { zxid: header.zxid, last: this.#lastZxid });
    }
    const changes: Change[] = [];
    if (body.type === OpCode.multi) {
      const results = this.#applyMulti(header, body.txns, changes);
      this.#lastZxid = header.zxid;
      return { txn, error: ErrorCode.OK, changes, node: undefined, results };
    }
    const { error, node } = this.#applyBody(header, body, changes);
    this.#lastZxid = header.zxid;
    return { txn, error, changes, node, results: undefined };
  }

  /** Executed whole, or not at all if one of its parts is an error. */
  #applyMulti(header: TxnHeader, parts: readonly TxnBody[], changes: Change[]): AppliedPart[] {
    const failed = parts.some((part) => part.type === OpCode.error);
    return parts.map((body) => {
      if (failed) {
        // The parts before the one that failed are still what they were asked to be; nothing was wrong with them.
        const error = body.type === OpCode.error ? body.err : ErrorCode.OK;
        return { body, error, stat: undefined };
      }
      const { error, node } = this.#applyBody(header, body, changes);
      // As it is between this part and the next.
      return { body, error, stat: node === undefined ? undefined : this.tree.stat(node) };
    });
  }

  #applyBody(header: TxnHeader, body: TxnBody, changes: Change[]): Outcome {
    switch (body.type) {
      case OpCode.create:
      case OpCode.create2:
        return this.#create(header, body, body.ephemeral ? header.sessionId : NO_OWNER, changes);
      case OpCode.createContainer:
        return this.#create(header, body, CONTAINER_OWNER, changes);
      case OpCode.createTTL:
        return this.#create(header, body, ttlOwner(body.ttlMs), changes);
      case OpCode.delete:
      case OpCode.deleteContainer:
        return this.#delete(body.path, header.zxid, changes) ? DONE : NO_NODE;
      case OpCode.setData:
      case OpCode.reconfig:
        return this.#setData(header, body, changes);
      case OpCode.setACL: {
        const node = this.tree.setAcl(body.path, body.acl, body.version);
        return node === undefined ? NO_NODE : { error: ErrorCode.OK, node };
      }
      case OpCode.check:
        return DONE;
      case OpCode.createSession:
        this.sessions.set(header.sessionId, body.timeoutMs);
        return DONE;
      case OpCode.closeSession:
        this.#closeSession(header, body.paths ?? [], changes);
        return DONE;
      case OpCode.error:
        return { error: body.err, node: undefined };
      case OpCode.multi:
        assert(false, 'a multi transaction inside a multi transaction');
        return DONE;
      default:
        return assertNever(body);
    }
  }

  #create(header: TxnHeader, body: CreateBody, owner: bigint, changes: Change[]): Outcome {
    const { path, data, acl, parentCversion } = body;
    const { zxid, time } = header;
    const isNew = this.tree.create({ path, data, acl, owner, parentCversion, zxid, time });
    const node = this.tree.find(path);
    if (node === undefined) return NO_NODE;
    if (!isNew) return { error: ErrorCode.NODE_EXISTS, node: undefined };
    changes.push({
      type: EventType.NodeCreated,
      path,
      acl: this.tree.aclOf(node),
      parentAcl: this.#aclOfParent(path),
    });
    return { error: ErrorCode.OK, node };
  }

  #delete(path: string, zxid: Zxid, changes: Change[]): boolean {
    const node = this.tree.find(path);
    if (node !== undefined) {
      changes.push({
        type: EventType.NodeDeleted,
        path,
        acl: this.tree.aclOf(node),
        parentAcl: this.#aclOfParent(path),
      });
    }
    return this.tree.delete(path, zxid);
  }

  #setData(header: TxnHeader, body: SetDataBody, changes: Change[]): Outcome {
    const node = this.tree.setData(body.path, body.data, body.version, header.zxid, header.time);
    if (node === undefined) return NO_NODE;
    changes.push({ type: EventType.NodeDataChanged, path: body.path, acl: this.tree.aclOf(node) });
    return { error: ErrorCode.OK, node };
  }

  /**
   * Deletes the session and its ephemerals: those that the leader listed, even when they are missing here, so that a replay
   * leaves the same pzxids; and then all that are left, so that none outlives its session.
   */
  #closeSession({ sessionId, zxid }: TxnHeader, paths: readonly string[], changes: Change[]): void {
    for (const path of paths) this.#delete(path, zxid, changes);
    for (const path of this.tree.ephemeralsOf(sessionId)) this.#delete(path, zxid, changes);
    this.sessions.delete(sessionId);
  }

  #aclOfParent(path: string): readonly Acl[] {
    const parent = this.tree.find(parentOf(path));
    assert(parent !== undefined, 'TREE-1: a znode has no parent');
    return this.tree.aclOf(parent);
  }
}

/** What a database starts with. */
export interface DatabaseContents {
  readonly tree?: DataTree;
  /** Timeouts in ms, by session. */
  readonly sessions?: Map<SessionId, number>;
  readonly lastZxid?: Zxid;
}

/** What a transaction did. */
export interface Applied {
  readonly txn: Txn;
  /**
   * 0, or why nothing was done: the code of an error transaction, NODE_EXISTS or NO_NODE in a replay. Always 0 of a multi, as
   * in the header of its reply: what went wrong stands in its results.
   */
  readonly error: number;
  /** What watchers may be told, in the order in which it happened. */
  readonly changes: readonly Change[];
  /** The znode that was created or changed, for the reply. Its slot is good until the next transaction is applied. */
  readonly node: Znode | undefined;
  /** Of a multi, one for each part. */
  readonly results: readonly AppliedPart[] | undefined;
}

/** What a part of a multi did. */
export interface AppliedPart {
  readonly body: TxnBody;
  readonly error: number;
  /** Of the znode that the part created or changed, as it was before the next part. */
  readonly stat: Stat | undefined;
}

/** Something that happened to one znode. The ACLs say who may be told, and are those of that moment. */
export type Change =
  | {
      readonly type: typeof EventType.NodeCreated | typeof EventType.NodeDeleted;
      readonly path: string;
      readonly acl: readonly Acl[];
      /** For the NodeChildrenChanged of the parent that comes with it. */
      readonly parentAcl: readonly Acl[];
    }
  | { readonly type: typeof EventType.NodeDataChanged; readonly path: string; readonly acl: readonly Acl[] };

interface Outcome {
  readonly error: number;
  readonly node: Znode | undefined;
}

interface CreateBody {
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly acl: readonly Acl[] | null;
  readonly parentCversion: number;
}

interface SetDataBody {
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly version: number;
}

const DONE: Outcome = { error: ErrorCode.OK, node: undefined };
const NO_NODE: Outcome = { error: ErrorCode.NO_NODE, node: undefined };
