import { type Acl, OPEN_ACL } from 'zookeeper-protocol-ts';
import { assert } from '../invariant.ts';

/**
 * Each distinct ACL once, under a number that znodes and snapshots refer to (the original's `ReferenceCountedACLCache`): a
 * million znodes with the same ACL share one list. Numbers start at 1 and are never given twice, so that a snapshot which is
 * written while the tree changes can't mix two lists up. -1 is the open ACL of znodes without one; it is never in the table.
 */
export class AclTable {
  readonly #entries = new Map<number, Entry>();
  readonly #ids = new Map<string, number>();
  #lastId = 0;
  /** Until {@link purgeUnused}: a znode that is still to come may have an ACL that none has now. */
  #isLoading: boolean;

  /** @param entries a snapshot's table; nothing refers to it yet, see {@link purgeUnused} */
  constructor(entries?: Iterable<readonly [id: number, acl: readonly Acl[]]>) {
    this.#isLoading = entries !== undefined;
    for (const [id, acl] of entries ?? []) {
      const key = keyOf(acl);
      this.#entries.set(id, { acl, key, users: 0 });
      this.#ids.set(key, id);
      if (id > this.#lastId) this.#lastId = id;
    }
  }

  /** The number of an ACL, with one user more. */
  acquire(acl: readonly Acl[] | null): number {
    if (acl === null) return OPEN_ACL_ID;
    const key = acl === OPEN_ACL ? OPEN_ACL_KEY : keyOf(acl);
    const known = this.#ids.get(key);
    const entry = known === undefined ? undefined : this.#entries.get(known);
    if (known !== undefined && entry !== undefined) {
      entry.users++;
      return known;
    }
    const id = ++this.#lastId;
    this.#entries.set(id, { acl, key, users: 1 });
    this.#ids.set(key, id);
    return id;
  }

  /**
   * One user more for a number of the snapshot that is being loaded. A fuzzy snapshot may have one that its table lacks: then
   * nobody's ACL stands in, so that nothing is open by mistake until the log behind the snapshot sets the right one again.
   * @returns the number to keep
   */
  acquireRestored(id: number): number {
    if (id === OPEN_ACL_ID) return id;
    const entry = this.#entries.get(id);
    if (entry === undefined) return this.acquire(NOBODY_ACL);
    entry.users++;
    return id;
  }

  /** One user less; the last one takes the ACL along. */
  release(id: number): void {
    if (id === OPEN_ACL_ID) return;
    const entry = this.#entryOf(id);
    assert(entry.users > 0, 'TREE-6: an ACL is released more often than it was acquired');
    if (--entry.users === 0 && !this.#isLoading) this.#remove(id, entry);
  }

  get(id: number): readonly Acl[] {
    return id === OPEN_ACL_ID ? OPEN_ACL : this.#entryOf(id).acl;
  }

  /** How many znodes have the ACL of a number. */
  usersOf(id: number): number {
    return this.#entries.get(id)?.users ?? 0;
  }

  *[Symbol.iterator](): IterableIterator<readonly [id: number, acl: readonly Acl[]]> {
    for (const [id, { acl }] of this.#entries) yield [id, acl];
  }

  /** Ends loading a snapshot: drops what no znode referred to. */
  purgeUnused(): void {
    this.#isLoading = false;
    for (const [id, entry] of this.#entries) if (entry.users === 0) this.#remove(id, entry);
  }

  #entryOf(id: number): Entry {
    const entry = this.#entries.get(id);
    assert(entry !== undefined, 'TREE-6: a znode has an ACL that the table lacks');
    return entry;
  }

  #remove(id: number, entry: Entry): void {
    this.#entries.delete(id);
    // Two numbers of a foreign snapshot may have the same list; the later one owns the key.
    if (this.#ids.get(entry.key) === id) this.#ids.delete(entry.key);
  }
}

/** The number of {@link OPEN_ACL} when no list was given. */
export const OPEN_ACL_ID = -1;

interface Entry {
  readonly acl: readonly Acl[];
  readonly key: string;
  users: number;
}

/** Not the empty list, which allows everything to everybody. */
const NOBODY_ACL: readonly Acl[] = [{ perms: 0, id: { scheme: 'world', id: 'anyone' } }];

/** Equal for equal lists only: lengths in front keep apart what separators in an id would blur. */
function keyOf(acl: readonly Acl[]): string {
  let key = '';
  for (const { perms, id } of acl) key += `${perms}:${keyPart(id.scheme)}${keyPart(id.id)}`;
  return key;
}

const keyPart = (text: string | null): string => (text === null ? '-' : `${text.length}:${text}`);

/** Of the list that nearly all creates come with. */
const OPEN_ACL_KEY = keyOf(OPEN_ACL);
