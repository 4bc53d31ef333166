/**
 * A naive model of the replicated state: a map of plain objects that searches where the tree has an index. It also plays the
 * leader: it makes a transaction of every operation, or an error if the operation would be refused. Everybody has all
 * permissions. And the requests to drive it with.
 */
import fc from 'fast-check';
import {
  type Acl,
  ErrorCode,
  EventType,
  joinPath,
  nameOf,
  OPEN_ACL,
  OpCode,
  parentOf,
  READ_ACL,
  type SessionId,
  type Stat,
  type Txn,
  type TxnBody,
  toSessionId,
  toXid,
  toZxid,
  ZERO_ZXID,
  type Zxid,
} from 'zookeeper-protocol-ts';
import type { Database } from '../../server/src/database.ts';
import { CONTAINER_OWNER, isEphemeralOwner, ttlOwner } from '../../server/src/tree/owner.ts';

const DIGEST_ACL: readonly Acl[] = [
  { perms: 31, id: { scheme: 'digest', id: 'u:h' } },
  { perms: 1, id: { scheme: 'world', id: 'anyone' } },
];
const acls = [null, OPEN_ACL, READ_ACL, DIGEST_ACL] as const;
/** The sessions that requests are made in. */
export const sessions: readonly SessionId[] = [11n, 12n].map(toSessionId);

/** What a client asks for. */
export type Request =
  | {
      kind: 'create';
      path: string;
      data: Uint8Array | null;
      acl: readonly Acl[] | null;
      mode: Mode;
      session: SessionId;
    }
  | { kind: 'delete'; path: string }
  | { kind: 'setData'; path: string; data: Uint8Array | null }
  | { kind: 'setAcl'; path: string; acl: readonly Acl[] | null }
  | { kind: 'openSession' | 'closeSession'; session: SessionId }
  | { kind: 'multi'; parts: Request[]; session: SessionId };
/** How a znode is created. */
export type Mode = 'persistent' | 'ephemeral' | 'container' | 'ttl';

interface ModelZnode {
  data: Uint8Array | null;
  acl: readonly Acl[];
  owner: bigint;
  czxid: Zxid;
  mzxid: Zxid;
  pzxid: Zxid;
  ctime: number;
  mtime: number;
  version: number;
  cversion: number;
  aversion: number;
}

export class Model {
  readonly znodes = new Map<string, ModelZnode>();
  readonly sessions = new Map<SessionId, number>();
  #zxid = 0n;

  constructor() {
    for (const path of ['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config']) {
      const isConfig = path === '/zookeeper/config';
      this.#add(path, ZERO_ZXID, 0, { data: new Uint8Array(0), acl: isConfig ? READ_ACL : OPEN_ACL, owner: 0n });
      if (isConfig) this.#at(path).aversion = -1;
    }
  }

  /** Makes a transaction of a request, applies it here, and tells what watchers should be told. */
  execute(request: Request): { txn: Txn; events: string[] } {
    const zxid = toZxid(++this.#zxid);
    const time = 1_000_000 + Number(zxid);
    const sessionId = 'session' in request ? request.session : toSessionId(99n);
    const events: string[] = [];
    const body = this.#execute(request, zxid, time, events);
    return {
      txn: { header: { sessionId, cxid: toXid(1), zxid, time, type: body.type }, body, digest: undefined },
      events,
    };
  }

  childrenOf(path: string): string[] {
    return [...this.znodes.keys()].filter((other) => other !== '/' && parentOf(other) === path);
  }

  ephemeralsOf(session: SessionId): string[] {
    return [...this.znodes].filter(([, { owner }]) => owner === session).map(([path]) => path);
  }

  stat(path: string): Stat {
    const { data, owner, czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion } = this.#at(path);
    const numChildren = this.childrenOf(path).length;
    const ephemeralOwner = toSessionId(sessions.some((session) => session === owner) ? owner : 0n);
    const counts = { dataLength: data?.length ?? 0, numChildren, cversion: 2 * cversion - numChildren };
    return { czxid, mzxid, pzxid, ctime, mtime, version, aversion, ephemeralOwner, ...counts };
  }

  #execute(request: Request, zxid: Zxid, time: number, events: string[]): TxnBody {
    switch (request.kind) {
      case 'create': {
        const { path, data, acl, mode, session } = request;
        const parent = this.znodes.get(parentOf(path));
        if (parent === undefined) return refused(ErrorCode.NO_NODE);
        if (this.znodes.has(path)) return refused(ErrorCode.NODE_EXISTS);
        if (isEphemeralOwner(parent.owner)) return refused(ErrorCode.NO_CHILDREN_FOR_EPHEMERALS);
        if (mode === 'ephemeral' && !this.sessions.has(session)) return refused(ErrorCode.SESSION_EXPIRED);
        const owner = { persistent: 0n, ephemeral: session, container: CONTAINER_OWNER, ttl: ttlOwner(5) }[mode];
        parent.cversion++;
        parent.pzxid = zxid;
        this.#add(path, zxid, time, { data, acl: acl ?? OPEN_ACL, owner });
        events.push(`${EventType.NodeCreated} ${path}`);
        const created = { path, data, acl, parentCversion: parent.cversion };
        if (mode === 'container') return { type: OpCode.createContainer, ...created };
        if (mode === 'ttl') return { type: OpCode.createTTL, ...created, ttlMs: 5 };
        return { type: OpCode.create2, ...created, ephemeral: mode === 'ephemeral' };
      }
      case 'delete': {
        const { path } = request;
        if (!this.znodes.has(path)) return refused(ErrorCode.NO_NODE);
        if (this.childrenOf(path).length > 0) return refused(ErrorCode.NOT_EMPTY);
        this.#delete(path, zxid, events);
        return { type: OpCode.delete, path };
      }
      case 'setData': {
        const znode = this.znodes.get(request.path);
        if (znode === undefined) return refused(ErrorCode.NO_NODE);
        Object.assign(znode, { data: request.data, version: znode.version + 1, mzxid: zxid, mtime: time });
        events.push(`${EventType.NodeDataChanged} ${request.path}`);
        return { type: OpCode.setData, path: request.path, data: request.data, version: znode.version };
      }
      case 'setAcl': {
        const znode = this.znodes.get(request.path);
        if (znode === undefined) return refused(ErrorCode.NO_NODE);
        Object.assign(znode, { acl: request.acl ?? OPEN_ACL, aversion: znode.aversion + 1 });
        return { type: OpCode.setACL, path: request.path, acl: request.acl, version: znode.aversion };
      }
      case 'openSession':
        this.sessions.set(request.session, 4_000);
        return { type: OpCode.createSession, timeoutMs: 4_000 };
      case 'closeSession': {
        const paths = this.ephemeralsOf(request.session);
        for (const path of paths) this.#delete(path, zxid, events);
        this.sessions.delete(request.session);
        return { type: OpCode.closeSession, paths };
      }
      case 'multi':
        return this.#executeMulti(request.parts, zxid, time, events);
    }
  }

  #executeMulti(parts: readonly Request[], zxid: Zxid, time: number, events: string[]): TxnBody {
    const before = [...this.znodes].map(([path, znode]) => [path, { ...znode }] as const);
    const txns = parts.map((part) => this.#execute(part, zxid, time, events));
    const failed = txns.findIndex(({ type }) => type === OpCode.error);
    if (failed < 0) return { type: OpCode.multi, txns };
    this.znodes.clear();
    for (const [path, znode] of before) this.znodes.set(path, znode);
    events.length = 0;
    const skipped = refused(ErrorCode.RUNTIME_INCONSISTENCY);
    return { type: OpCode.multi, txns: txns.map((txn, i) => (i <= failed ? txn : skipped)) };
  }

  #add(path: string, zxid: Zxid, time: number, rest: Pick<ModelZnode, 'data' | 'acl' | 'owner'>): void {
    const zxids = { czxid: zxid, mzxid: zxid, pzxid: zxid };
    this.znodes.set(path, { ...rest, ...zxids, ctime: time, mtime: time, version: 0, cversion: 0, aversion: 0 });
  }

  #delete(path: string, zxid: Zxid, events: string[]): void {
    this.znodes.delete(path);
    this.#at(parentOf(path)).pzxid = zxid;
    events.push(`${EventType.NodeDeleted} ${path}`);
  }

  #at(path: string): ModelZnode {
    const znode = this.znodes.get(path);
    if (znode === undefined) throw new Error(`the model has no ${path}`);
    return znode;
  }
}

const refused = (err: number): TxnBody => ({ type: OpCode.error, err });

/** All that can be seen of a state, in an order of its own. */
export interface Shown {
  readonly znodes: readonly object[];
  readonly ephemerals: readonly (readonly string[])[];
  readonly sessions: readonly SessionId[];
  readonly counts: readonly number[];
}

export function shownByModel(model: Model): Shown {
  const paths = [...model.znodes.keys()].sort();
  return {
    znodes: paths.map((path) => ({
      path,
      data: model.znodes.get(path)?.data,
      acl: model.znodes.get(path)?.acl,
      owner: model.znodes.get(path)?.owner,
      stat: model.stat(path),
      children: model.childrenOf(path).map(nameOf).sort(),
    })),
    ephemerals: sessions.map((session) => model.ephemeralsOf(session).sort()),
    sessions: [...model.sessions.keys()].sort(),
    counts: [paths.length + 1, paths.filter((path) => path.startsWith('/a/')).length],
  };
}

export function shownByDatabase({ tree, sessions: open }: Database): Shown {
  const nodes = [...tree.znodes()].sort((a, b) => (tree.pathOf(a) < tree.pathOf(b) ? -1 : 1));
  return {
    znodes: nodes.map((node) => ({
      path: tree.pathOf(node),
      data: tree.data(node),
      acl: tree.aclOf(node),
      owner: tree.owner(node),
      stat: tree.stat(node),
      children: tree.children(node).sort(),
    })),
    ephemerals: sessions.map((session) => [...tree.ephemeralsOf(session)].sort()),
    sessions: [...open.keys()].sort(),
    counts: [tree.nodeCount, tree.allChildrenNumber('/a')],
  };
}

const name = fc.constantFrom('a', 'b');
const path = fc
  .array(name, { minLength: 1, maxLength: 3 })
  .map((names) => names.reduce((parent, child) => joinPath(parent, child), '/'));
const data = fc.option(fc.uint8Array({ maxLength: 3 }));
const acl = fc.constantFrom(...acls);
const session = fc.constantFrom(...sessions);
const mode = fc.constantFrom<Mode>('persistent', 'persistent', 'ephemeral', 'container', 'ttl');
const create = fc.record({ kind: fc.constant('create' as const), path, data, acl, mode, session });
const remove = fc.record({ kind: fc.constant('delete' as const), path });
const setData = fc.record({ kind: fc.constant('setData' as const), path, data });
const setAcl = fc.record({ kind: fc.constant('setAcl' as const), path, acl });
const part: fc.Arbitrary<Request> = fc.oneof(
  { weight: 4, arbitrary: create },
  { weight: 3, arbitrary: remove },
  setData,
);
/** All parts are of one session: the transaction has one header. */
const multi: fc.Arbitrary<Request> = fc.tuple(fc.array(part, { maxLength: 4 }), session).map(
  ([parts, owner]): Request => ({
    kind: 'multi',
    parts: parts.map((one) => ('session' in one ? { ...one, session: owner } : one)),
    session: owner,
  }),
);
/** Any request. */
export const request: fc.Arbitrary<Request> = fc.oneof(
  { weight: 8, arbitrary: create },
  { weight: 4, arbitrary: remove },
  { weight: 2, arbitrary: setData },
  { weight: 2, arbitrary: setAcl },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('openSession', 'closeSession'), session }) },
  { weight: 2, arbitrary: multi },
);
/** To begin with: the requests that open all sessions. */
export const opened = sessions.map((id): Request => ({ kind: 'openSession', session: id }));
