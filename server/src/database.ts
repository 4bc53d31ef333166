import {
  type Acl,
  ErrorCode,
  EventType,
  OpCode,
  type SessionId,
  type Stat,
  type Txn,
  type TxnBody,
  type TxnDigest,
  type TxnHeader,
  ZERO_ZXID,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { assert, assertNever } from './invariant.ts';
import { DataTree } from './tree/data-tree.ts';
import { CONTAINER_OWNER, NO_OWNER, ttlOwner } from './tree/owner.ts';
import { Quotas } from './tree/quota.ts';
import { DIGEST_VERSION } from './tree/tree-digest.ts';
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
  readonly quotas: Quotas;
  /** Timeouts in ms, by session. */
  readonly sessions: Map<SessionId, number>;
  #lastZxid: Zxid;
  /** Up to here the tree may hold parts of transactions that are still to be replayed; undefined: nobody knows up to where. */
  readonly #digestsCountFrom: Zxid | undefined;
  #digestMismatches = 0;
  readonly #digestLog: DigestLogEntry[] = [];

  /** Empty, or what a snapshot holds. */
  constructor(contents: DatabaseContents = {}) {
    const { tree = new DataTree(), sessions = new Map(), lastZxid = ZERO_ZXID } = contents;
    this.tree = tree;
    this.quotas = new Quotas(tree);
    this.sessions = sessions;
    this.#lastZxid = lastZxid;
    this.#digestsCountFrom = contents.tree === undefined ? ZERO_ZXID : contents.digestsCountFrom;
  }

  /** Of the last transaction that was applied, or of the snapshot. */
  get lastZxid(): Zxid {
    return this.#lastZxid;
  }

  /** Transactions that came with the digest of another tree than they made here: `digest_mismatches_count`. */
  get digestMismatches(): number {
    return this.#digestMismatches;
  }

  /** The tree's digests at each 128th zxid, oldest first, at most 1024: the admin command `hash`. */
  get digestLog(): readonly DigestLogEntry[] {
    return this.#digestLog;
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
      this.#advance(txn);
      return { txn, error: ErrorCode.OK, changes, node: undefined, results };
    }
    const { error, node } = this.#applyBody(header, body, changes);
    this.#advance(txn);
    return { txn, error, changes, node, results: undefined };
  }

  /**
   * Deletes the ephemerals of sessions that there are not, as the original does when it starts to serve: a crash between the two
   * halves of a fuzzy snapshot, or an old bug, may have left them.
   * @returns those sessions
   */
  deleteOrphans(): SessionId[] {
    const gone = [...this.tree.sessionsWithEphemerals()].filter((sessionId) => !this.sessions.has(sessionId));
    for (const sessionId of gone) {
      for (const path of this.tree.ephemeralsOf(sessionId)) this.#delete(path, this.#lastZxid, []);
    }
    return gone;
  }

  #advance({ header, digest }: Txn): void {
    this.#lastZxid = header.zxid;
    if (digest !== undefined) this.#compare(digest);
    if (BigInt.asUintN(DIGEST_LOG_BITS, header.zxid) !== 0n) return;
    if (this.#digestLog.length === DIGEST_LOG_ENTRIES_MAX) this.#digestLog.shift();
    this.#digestLog.push({ zxid: header.zxid, digest: this.tree.digest });
  }

  #compare({ version, treeDigest }: TxnDigest): void {
    const isWhole = this.#digestsCountFrom !== undefined && this.#lastZxid > this.#digestsCountFrom;
    if (!isWhole || version !== DIGEST_VERSION) return;
    if (BigInt.asUintN(64, treeDigest) !== this.tree.digest) this.#digestMismatches++;
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
        const node = this.tree.find(body.path);
        if (node === undefined) return NO_NODE;
        this.tree.setAcl(node, body.acl, body.version);
        return { error: ErrorCode.OK, node };
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
    const node = this.tree.create({ path, data, acl, owner, parentCversion, zxid, time });
    if (node === undefined) return this.tree.find(path) === undefined ? NO_NODE : NODE_EXISTS;
    this.quotas.onCreated(path, data?.length ?? 0);
    changes.push({
      type: EventType.NodeCreated,
      path,
      acl: this.tree.aclOf(node),
      parentAcl: this.tree.parentAclOf(node),
    });
    return { error: ErrorCode.OK, node };
  }

  #delete(path: string, zxid: Zxid, changes: Change[]): boolean {
    const node = this.tree.find(path);
    if (node === undefined) return this.tree.delete(path, zxid);
    changes.push({
      type: EventType.NodeDeleted,
      path,
      acl: this.tree.aclOf(node),
      parentAcl: this.tree.parentAclOf(node),
    });
    const bytes = this.tree.dataLength(node);
    this.tree.delete(path, zxid);
    this.quotas.onDeleted(path, bytes);
    return true;
  }

  #setData(header: TxnHeader, body: SetDataBody, changes: Change[]): Outcome {
    const node = this.tree.find(body.path);
    if (node === undefined) return NO_NODE;
    const formerBytes = this.tree.dataLength(node);
    this.tree.setData(node, body.data, body.version, header.zxid, header.time);
    this.quotas.onDataChanged(body.path, this.tree.dataLength(node) - formerBytes);
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
}

/** What a database starts with. */
export interface DatabaseContents {
  readonly tree?: DataTree;
  /** Timeouts in ms, by session. */
  readonly sessions?: Map<SessionId, number>;
  readonly lastZxid?: Zxid;
  /** The zxid behind which the digests of transactions are those of the tree; undefined if nobody knows. */
  readonly digestsCountFrom?: Zxid | undefined;
}

export interface DigestLogEntry {
  readonly zxid: Zxid;
  /** Unsigned 64 bits. */
  readonly digest: bigint;
}

/** A digest is kept for each zxid whose low 7 bits are zeros. */
const DIGEST_LOG_BITS = 7;
const DIGEST_LOG_ENTRIES_MAX = 1024;

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
const NODE_EXISTS: Outcome = { error: ErrorCode.NODE_EXISTS, node: undefined };
