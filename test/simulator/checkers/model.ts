/**
 * What every znode was at every point of a history: a small replay that shares nothing with the server's tree. Znodes are looked
 * up by path and zxid. A history that can't be replayed is wrong: B3 (what is changed exists, in that version), B9 (the numbers of
 * sequential children), C1 (ephemerals), C4 (sessions).
 */
import { nameOf, OpCode, parentOf, type SessionId, type Txn, type TxnBody, type Zxid } from 'zookeeper-protocol-ts';

export interface ZnodeState {
  readonly data: string;
  readonly version: number;
  readonly czxid: Zxid;
  readonly mzxid: Zxid;
  readonly owner: bigint;
  /** Names, sorted. */
  readonly children: readonly string[];
}

interface Version {
  readonly zxid: Zxid;
  /** Undefined: there is no such znode from here on. */
  readonly state: ZnodeState | undefined;
}

export class HistoryModel {
  readonly #versions = new Map<string, Version[]>();
  /** Of each parent: how many children were created in its present life. */
  readonly #created = new Map<string, number>();
  /** Live ephemerals, by session. */
  readonly ephemerals = new Map<SessionId, Set<string>>();
  readonly sessions = new Map<SessionId, { readonly opened: Zxid; closed: Zxid | undefined }>();

  constructor(txns: readonly Txn[]) {
    this.#versions.set('/', [{ zxid: 0n as Zxid, state: ROOT }]);
    for (const { header, body } of txns) this.#apply(body, header.zxid, header.sessionId);
  }

  at(path: string, zxid: Zxid): ZnodeState | undefined {
    return this.#versions.get(path)?.findLast((version) => version.zxid <= zxid)?.state;
  }

  now(path: string): ZnodeState | undefined {
    return this.#versions.get(path)?.at(-1)?.state;
  }

  /** The znodes that there are at the end. */
  get paths(): readonly string[] {
    return [...this.#versions.keys()].filter((path) => this.now(path) !== undefined);
  }

  /** The first change of the data of a znode, or of its existence, behind `zxid`. */
  nextDataChange(path: string, zxid: Zxid): Zxid | undefined {
    const before = this.at(path, zxid);
    const later = this.#versions.get(path) ?? [];
    return later.find((version) => version.zxid > zxid && version.state?.mzxid !== before?.mzxid)?.zxid;
  }

  #apply(body: TxnBody, zxid: Zxid, session: SessionId): void {
    switch (body.type) {
      case OpCode.create:
      case OpCode.create2: {
        if (this.now(body.path) !== undefined) throw new Error(`C1: ${body.path} is created, and exists`);
        this.#count(body.path, body.parentCversion);
        const owner = body.ephemeral ? session : 0n;
        if (body.ephemeral) this.#own(session, body.path);
        const state = { data: text(body.data), version: 0, czxid: zxid, mzxid: zxid, owner, children: [] };
        this.#set(body.path, zxid, state);
        return this.#changeChildren(body.path, zxid, (names) => [...names, nameOf(body.path)].sort());
      }
      case OpCode.delete:
        return this.#delete(body.path, zxid);
      case OpCode.setData: {
        const before = this.now(body.path);
        if (before === undefined) throw new Error(`B3: ${body.path} is set, and does not exist`);
        if (body.version !== before.version + 1)
          throw new Error(`B3: ${body.path} goes from version ${before.version} to ${body.version}`);
        return this.#set(body.path, zxid, { ...before, data: text(body.data), version: body.version, mzxid: zxid });
      }
      case OpCode.multi:
        if (body.txns.some(({ type }) => type === OpCode.error)) return;
        for (const part of body.txns) this.#apply(part, zxid, session);
        return;
      case OpCode.createSession:
        if (this.sessions.has(session)) throw new Error(`C4: session ${session} begins twice`);
        this.sessions.set(session, { opened: zxid, closed: undefined });
        return;
      case OpCode.closeSession:
        return this.#close(session, body.paths ?? [], zxid);
      default:
        return; // errors and checks change nothing
    }
  }

  /** B9: the number that the name of a sequential child would have had counts the children before it. */
  #count(path: string, parentCversion: number): void {
    const parent = parentOf(path);
    const count = (this.#created.get(parent) ?? 0) + 1;
    if (parentCversion !== count) throw new Error(`B9: ${path} is child ${count} of its parent, not ${parentCversion}`);
    this.#created.set(parent, count);
  }

  #own(session: SessionId, path: string): void {
    const known = this.sessions.get(session);
    if (known === undefined || known.closed !== undefined)
      throw new Error(`C1: ephemeral ${path} of session ${session}, which is not open`);
    this.ephemerals.set(session, (this.ephemerals.get(session) ?? new Set()).add(path));
  }

  #close(session: SessionId, paths: readonly string[], zxid: Zxid): void {
    const known = this.sessions.get(session);
    if (known === undefined || known.closed !== undefined) return; // closed twice: changes nothing
    known.closed = zxid;
    const owned = [...(this.ephemerals.get(session) ?? [])].sort();
    if (owned.join() !== [...paths].sort().join())
      throw new Error(`C1: session ${session} owns [${owned}] when it ends, and [${paths}] are deleted`);
    for (const path of owned) this.#delete(path, zxid);
  }

  #delete(path: string, zxid: Zxid): void {
    const before = this.now(path);
    if (before === undefined) throw new Error(`B3: ${path} is deleted, and does not exist`);
    this.ephemerals.get(before.owner as SessionId)?.delete(path);
    this.#created.delete(path);
    this.#set(path, zxid, undefined);
    this.#changeChildren(path, zxid, (names) => names.filter((name) => name !== nameOf(path)));
  }

  #changeChildren(path: string, zxid: Zxid, change: (names: readonly string[]) => readonly string[]): void {
    const parent = parentOf(path);
    const before = this.now(parent);
    if (before === undefined) throw new Error(`B3: ${path} has no parent`);
    this.#set(parent, zxid, { ...before, children: change(before.children) });
  }

  #set(path: string, zxid: Zxid, state: ZnodeState | undefined): void {
    const versions = this.#versions.get(path);
    if (versions === undefined) this.#versions.set(path, [{ zxid, state }]);
    else versions.push({ zxid, state });
  }
}

const text = (bytes: Uint8Array | null): string => Buffer.from(bytes ?? []).toString();

const ROOT: ZnodeState = {
  data: '',
  version: 0,
  czxid: 0n as Zxid,
  mzxid: 0n as Zxid,
  owner: 0n,
  children: ['zookeeper'],
};
