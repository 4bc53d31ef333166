/**
 * A room that everybody enters together and leaves together (ZooKeeper recipes, "Double Barriers"; Curator's `DistributedDoubleBarrier`,
 * compatible with it on the same path):
 *
 *     <path>/<uuid>     ephemeral: a member, one for each object
 *     <path>/ready      persistent: the room is open. Made by who sees enough members, deleted by who leaves last
 *
 * What must always hold:
 * - Nobody gets in before `memberQty` members have been there at one time. Whoever waits looks at both, the members and `ready`, each time:
 *   when it looks, the quick ones may be leaving already, and only `ready` is left to tell.
 * - A `ready` that was there before us lets us in only if a member is there that is older: the room is open, we are one more than needed.
 *   Otherwise it is what a round left behind in which all crashed. Who opens the room then replaces it, so that it is younger than all members.
 * - Nobody gets out before all have left. Who comes late writes to `ready`, and who leaves last deletes it by its version, in one transaction
 *   with its own znode: so the two can't miss each other. When the `ready` of a round is gone, the round is over, and members who are
 *   younger wait for the next.
 * - Who gives up entering leaves no member behind (CURATOR-318), which the others would count.
 * - A member is known by its name, so that it is never there twice: the name stays when the session is lost, and who has left over a znode
 *   of an earlier session waits until that is gone. It also stays from round to round: who leaves waits for a znode, not for a name.
 */
import {
  BadVersionError,
  type CuratorFramework,
  InvalidArgumentError,
  joinPath,
  NodeExistsError,
  NoNodeError,
  randomUuid,
  type TransactionOp,
  type Zxid,
} from 'zookeeper-client-ts';
import type { AcquireOptions } from './acquire-timeout.ts';
import { type BarrierLook, type Seen, waitAtBarrier } from './barrier-wait.ts';
import { childrenOf, UnknownContenderError } from './line.ts';
import { deleteNowOrLater, OwnedZnode } from './owned-znode.ts';
import { type Ownership, OwnershipLostError } from './ownership.ts';
import { RecipeStateError } from './recipe-state.ts';

/** A member who waits, or is in. */
interface Member {
  readonly znode: OwnedZnode;
  readonly czxid: Zxid;
  /** The `ready` that was there before us, and opens nothing. */
  readonly stale: Zxid | undefined;
}

/** Anybody's znode, as it was seen: its name comes back in later rounds. */
interface SeenMember {
  readonly name: string;
  readonly czxid: Zxid;
}

type Place =
  | { readonly kind: 'outside' | 'entering' | 'leaving' }
  /** `opened` is the czxid of the `ready` that let us in. */
  | { readonly kind: 'inside'; readonly member: Member; readonly held: Ownership; readonly opened: Zxid };

/** What a member has seen who wants to enter. */
type Look =
  | { readonly kind: 'open'; readonly opened: Zxid }
  | { readonly kind: 'closed' }
  /** Something has changed meanwhile, perhaps by us. */
  | { readonly kind: 'changed' }
  /** Our znode isn't there any more. */
  | { readonly kind: 'gone' };

/**
 * One member for each object.
 *
 * ```ts
 * const barrier = new DistributedDoubleBarrier(client, '/barriers/step', 3);
 * const inside = await barrier.enter({ timeoutMs: 60_000 });
 * await compute(inside.signal);
 * await barrier.leave();
 * ```
 */
export class DistributedDoubleBarrier {
  readonly path: string;
  readonly memberQty: number;
  readonly #client: CuratorFramework;
  readonly #name: string;
  readonly #memberPath: string;
  readonly #readyPath: string;
  #place: Place = { kind: 'outside' };
  #strangersReported = false;

  /** @param memberQty how many it takes to open it; more may enter */
  constructor(client: CuratorFramework, path: string, memberQty: number) {
    if (!(Number.isSafeInteger(memberQty) && memberQty > 0)) {
      throw new InvalidArgumentError('memberQty', `must be a whole number from 1 on, not ${memberQty}`);
    }
    this.#client = client;
    this.path = path;
    this.memberQty = memberQty;
    this.#name = randomUuid(client.random);
    this.#memberPath = joinPath(path, this.#name);
    this.#readyPath = joinPath(path, READY);
  }

  /**
   * Waits until enough have come. Waits for the client to be started and connected, and over lost connections and sessions. Whatever it
   * rejects with, no member is left behind.
   *
   * Resolves to what we are in by: its signal fires when our znode is gone, and with it what keeps the others from leaving without us.
   * Releasing it gives up our place at once, without waiting for anybody.
   * @throws AcquireTimeoutError, ClientClosedError, what the server refuses; RecipeStateError if this member is not outside
   */
  async enter(options: AcquireOptions = {}): Promise<Ownership> {
    if (this.#place.kind !== 'outside') throw this.#misuse('enter');
    this.#place = { kind: 'entering' };
    let hasAsked = false;
    let member: Member | undefined;
    let opened: Zxid | undefined;
    try {
      await waitAtBarrier(this.#wait, options, async (attempt) => {
        hasAsked = true;
        if (!isPresent(member, this.#client)) member = await this.#join(attempt.signal);
        const look = member === undefined ? changed : await this.#lookFrom(member, attempt);
        if (look.kind === 'gone') member = undefined;
        if (look.kind === 'open') ({ opened } = look);
        return toSeen[look.kind];
      });
      const held = member?.znode.grant();
      if (member === undefined || opened === undefined || held === undefined) {
        throw new OwnershipLostError(this.#memberPath, 'LOST');
      }
      this.#place = { kind: 'inside', member, held, opened };
      return held;
    } catch (error) {
      // Its name is ours alone: also where it is not known whether there is one.
      if (hasAsked)
        await (member?.znode.delete() ?? deleteNowOrLater(this.#client, this.#memberPath)).catch(this.#report);
      this.#place = { kind: 'outside' };
      throw error;
    }
  }

  /**
   * Waits until all have left. It may be called again when it has rejected. Whoever is in and loses its session counts as left.
   * @throws AcquireTimeoutError, ClientClosedError, what the server refuses; RecipeStateError if this member is not inside
   */
  async leave(options: AcquireOptions = {}): Promise<void> {
    const place = this.#place;
    if (place.kind !== 'inside') throw this.#misuse('leave');
    this.#place = { kind: 'leaving' };
    try {
      place.held.end('RELEASED');
      await waitAtBarrier(this.#wait, options, (attempt) => this.#lookToLeave(place, attempt));
      // Whatever ended the round, nobody waits for us any more.
      await place.member.znode.delete();
      this.#place = { kind: 'outside' };
    } catch (error) {
      this.#place = place;
      throw error;
    }
  }

  // Entering.

  /** Makes our member. Undefined if one of an earlier session was in its place. */
  async #join(signal: AbortSignal): Promise<Member | undefined> {
    const client = this.#client;
    const stale = await this.#staleReady(signal);
    try {
      const created = await client.create(this.#memberPath, {
        mode: 'EPHEMERAL',
        containers: true,
        idempotent: true,
        storingStat: true,
        signal,
      });
      return { znode: new OwnedZnode(client, created, { id: '' }), czxid: created.stat.czxid, stale };
    } catch (error) {
      if (!(error instanceof NodeExistsError)) throw error;
      await client.delete(this.#memberPath, { quietly: true, signal });
      return undefined;
    }
  }

  /** The `ready` that is there although nobody is who could have seen it made. */
  async #staleReady(signal: AbortSignal): Promise<Zxid | undefined> {
    const ready = await this.#client.checkExists(this.#readyPath, { signal });
    if (ready === undefined) return undefined;
    const older = await this.#olderThan(await this.#members(signal), ready.czxid, signal);
    return older.length > 0 ? undefined : ready.czxid;
  }

  async #lookFrom(member: Member, { signal, watcherFor }: BarrierLook): Promise<Look> {
    const [ready, members] = await Promise.all([
      this.#client.checkExists(this.#readyPath, { watcher: watcherFor(this.#readyPath), signal }),
      this.#members(signal),
    ]);
    if (!members.includes(this.#name)) return { kind: 'gone' };
    if (ready !== undefined && ready.czxid !== member.stale) {
      const open = { kind: 'open', opened: ready.czxid } as const;
      // If it was open before we came, who is about to leave last must see us.
      const isIn =
        ready.czxid > member.czxid || (await this.#apply([this.#client.op.setData(this.#readyPath)], signal));
      return isIn ? open : changed;
    }
    if (members.length < this.memberQty) return { kind: 'closed' };
    const { op } = this.#client;
    const opening = ready === undefined ? [] : [op.delete(this.#readyPath)];
    await this.#apply([...opening, op.create(this.#readyPath)], signal);
    // The next look shows it, whoever it was.
    return changed;
  }

  /** Only while our member is there. False, and nothing has happened, if somebody was quicker. */
  async #apply(ops: readonly TransactionOp[], signal: AbortSignal): Promise<boolean> {
    try {
      await this.#client.transaction([this.#client.op.check(this.#memberPath), ...ops], { signal });
      return true;
    } catch (error) {
      const hasChanged =
        error instanceof NoNodeError || error instanceof NodeExistsError || error instanceof BadVersionError;
      if (hasChanged) return false;
      throw error;
    }
  }

  // Leaving.

  async #lookToLeave({ member, opened }: Place & { kind: 'inside' }, attempt: BarrierLook): Promise<Seen> {
    const { signal } = attempt;
    // Before the members: who comes late afterwards changes its version.
    const ready = await this.#client.checkExists(this.#readyPath, { signal });
    // Of this round are those who were there when the room opened, and those who have written to `ready` since.
    const joined = ready?.czxid === opened ? ready.mzxid : opened;
    const members = await this.#olderThan(await this.#members(signal), joined, signal);
    const [lowest, ...others] = members.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    if (lowest === undefined) return 'pass';
    if (lowest.name !== this.#name) {
      await member.znode.delete();
      return this.#watch(lowest, attempt);
    }
    const highest = others.at(-1);
    if (highest !== undefined) return this.#watch(highest, attempt);
    const leaving = [this.#client.op.delete(this.#memberPath)];
    if (ready?.czxid === opened) leaving.push(this.#client.op.delete(this.#readyPath, { version: ready.version }));
    return (await this.#apply(leaving, signal)) ? 'pass' : 'again';
  }

  /** Sees to it that we are woken when a member goes. */
  async #watch({ name, czxid }: SeenMember, { signal, watcherFor }: BarrierLook): Promise<Seen> {
    const path = joinPath(this.path, name);
    try {
      // By getData, which leaves no watch where there is no znode.
      const { stat } = await this.#client.getData(path, { watcher: watcherFor(path), signal, decompressed: false });
      // Or it has left meanwhile, and waits for us in the next round.
      return stat.czxid === czxid ? 'wait' : 'again';
    } catch (error) {
      if (error instanceof NoNodeError) return 'again';
      throw error;
    }
  }

  // The members.

  async #members(signal: AbortSignal): Promise<string[]> {
    const children = await childrenOf(this.#client, this.path, { signal });
    const strangers = children.filter((name) => name !== READY && !MEMBER.test(name));
    if (strangers.length > 0 && !this.#strangersReported) {
      this.#strangersReported = true;
      this.#report(new UnknownContenderError(this.path, strangers));
    }
    return children.filter((name) => MEMBER.test(name));
  }

  async #olderThan(names: readonly string[], zxid: Zxid, signal: AbortSignal): Promise<SeenMember[]> {
    const stats = await Promise.all(
      names.map((name) => this.#client.checkExists(joinPath(this.path, name), { signal })),
    );
    return names.flatMap((name, index) => {
      const czxid = stats[index]?.czxid;
      return czxid !== undefined && czxid < zxid ? [{ name, czxid }] : [];
    });
  }

  get #wait() {
    return { client: this.#client, path: this.path, report: this.#report };
  }

  #misuse(wish: string): RecipeStateError {
    return new RecipeStateError(`this member can't ${wish}, it is ${this.#place.kind}: ${this.path}`, {
      path: this.path,
    });
  }

  readonly #report = (error: unknown): void => this.#client.reportError(error);
}

const isPresent = (member: Member | undefined, { sessionId }: CuratorFramework): boolean =>
  member?.znode.sessionId === sessionId;

const changed = { kind: 'changed' } as const;

const toSeen = { open: 'pass', closed: 'wait', changed: 'again', gone: 'again' } as const satisfies Record<
  Look['kind'],
  Seen
>;

const READY = 'ready';

/** Curator's and ours; kazoo's have no dashes. */
const MEMBER = /^(?:[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/i;
