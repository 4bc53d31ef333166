/**
 * Who holds what, as an observer sees it who knows all clocks; and a store that refuses stale tokens (the fenced register).
 *
 * - R-MUTEX: what one holds excludes others, from the grant until it is released, its signal has fired, or its lease has ended by its own
 *   clock, whichever comes first, also while it is frozen; and each grant was due by the tree, at some zxid: its znode was of the
 *   holder's session, and nobody stood in its way. That includes R-FIFO.
 * - R-FENCE: tokens rise by the order of the grants, and the store never refuses who holds.
 * - R-LOST: the signal fires no later than the lease ends, and who looks at it knows at once.
 * - R-ORPHAN: in the end, no znode is left.
 */

import type { Ownership } from 'zookeeper-recipes-ts';
import { type Actor, isDead, type RecipeWorld } from './recipe-world.fixture.ts';

export interface HoldingRules {
  /** Where the znodes are that grants rest on. */
  readonly folder: string;
  /** By what is in the folder at a zxid: the names that may be granted. */
  readonly due: (names: readonly string[]) => readonly string[];
  /** What of several things it is; default: there is one. */
  readonly thing?: (held: Ownership) => string;
  /** The same znode may be granted again to the one who has it, after an outage. Default: no. */
  readonly isGrantedAgain?: boolean;
  /** Whether it is held by one alone; default: yes. Tokens of those rise. */
  readonly isExclusive?: (mode: string) => boolean;
  /** How many may be held at once, of those that are not exclusive. */
  readonly limit?: number;
}

export interface Holding {
  readonly actor: Actor;
  readonly held: Ownership;
  readonly mode: string;
  readonly thing: string;
  readonly isExclusive: boolean;
  hasFired: boolean;
  isReleased: boolean;
}

interface Tokens {
  /** Granted so far. */
  highest: bigint;
  highestPath: string;
  highestExclusive: bigint;
  /** That the store has seen. */
  highestUsed: bigint;
}

/** Timers are of whole microseconds. */
const ROUNDING_MS = 0.002;

export class Holdings {
  readonly #run: RecipeWorld;
  readonly #rules: HoldingRules;
  /** Those that have not been released. */
  readonly #open = new Set<Holding>();
  /** Names with the sessions that owned them. */
  readonly #due = new Set<string>();
  /** By thing. */
  readonly #tokens = new Map<string, Tokens>();

  constructor(run: RecipeWorld, rules: HoldingRules) {
    this.#run = run;
    this.#rules = rules;
    run.afterEach((hasChanged) => {
      if (hasChanged) this.#noteDue();
      for (const holding of this.#open) this.#checkSignal(holding);
    });
  }

  /** To be called in the same breath in which it was granted. */
  granted(actor: Actor, held: Ownership, mode = ''): Holding {
    const thing = this.#rules.thing?.(held) ?? '';
    const isExclusive = this.#rules.isExclusive?.(mode) ?? true;
    const holding: Holding = { actor, held, mode, thing, isExclusive, hasFired: !held.isHeld(), isReleased: false };
    held.signal.addEventListener('abort', () => (holding.hasFired = true), { once: true });
    const name = held.path.slice(held.path.lastIndexOf('/') + 1);
    if (!this.#due.has(dueKey(name, held.sessionId)))
      this.#run.violation(`R-MUTEX: ${held.path} was granted to ${actor.name} before its turn`);
    this.#open.add(holding);
    // A process that was frozen between the grant and its own next step finds what it got lost.
    if (holding.hasFired) {
      this.#run.mark('lost when granted');
      return holding;
    }
    this.#checkExclusion(holding);
    this.#checkToken(holding);
    this.#run.mark('granted');
    this.#run.perhapsFreeze(actor);
    return holding;
  }

  /** Its program looks whether it may go on; if so, sends something to the store, which may take long to get there. */
  work(holding: Holding, delayMs: number): boolean {
    const { actor, held } = holding;
    const isHeld = !held.signal.aborted;
    if (isHeld !== held.isHeld()) this.#run.violation(`R-LOST: signal and isHeld of ${actor.name} contradict`);
    if (!isHeld) {
      this.#run.mark('lost while holding');
      return false;
    }
    if (!this.#isOpen(holding)) this.#run.violation(`R-LOST: ${actor.name} finds held what its lease has ended for`);
    this.#checkExclusion(holding);
    this.#run.world.at(this.#run.world.nowMs + delayMs, () => this.#use(holding));
    return true;
  }

  /** To be called just before it is released. */
  releasing(holding: Holding): void {
    holding.isReleased = true;
    this.#open.delete(holding);
  }

  /** How many are held at this moment. */
  get openCount(): number {
    return [...this.#open].filter((each) => this.#isOpen(each)).length;
  }

  /** In the end: nothing is left in the folder, and in those others. */
  async checkOrphans(...others: readonly string[]): Promise<void> {
    const folders = [this.#rules.folder, ...others];
    const left = () => folders.flatMap((folder) => this.#run.childrenOf(folder).map((name) => `${folder}/${name}`));
    try {
      await this.#run.until('R-ORPHAN: nothing is left', () => left().length === 0);
    } catch (cause) {
      throw new Error(
        `R-ORPHAN: ${left()
          .map((path) => this.#withOwner(path))
          .join(', ')}`,
        { cause },
      );
    }
  }

  #noteDue(): void {
    const { due, folder } = this.#rules;
    for (const name of due(this.#run.childrenOf(folder))) {
      this.#due.add(dueKey(name, this.#ownerOf(`${folder}/${name}`)));
    }
  }

  #ownerOf(path: string): bigint | undefined {
    const { tree } = this.#run.server.database;
    const node = tree.find(path);
    return node === undefined ? undefined : tree.owner(node);
  }

  #withOwner(path: string): string {
    const owner = this.#ownerOf(path);
    const actor = this.#run.actors.find(({ client }) => client.sessionId === owner);
    return `${path} (${actor === undefined ? `session ${owner}` : `${actor.name}, ${actor.process.state}`})`;
  }

  #checkToken({ held: { token, path }, actor, isExclusive, thing }: Holding): void {
    const tokens = this.#tokensOf(thing);
    // Who turns from writing to reading keeps its token.
    const mayEqual = !isExclusive || (this.#rules.isGrantedAgain === true && tokens.highestPath === path);
    const highest = isExclusive ? tokens.highest : tokens.highestExclusive;
    if (token < highest || (token === highest && !mayEqual))
      this.#run.violation(`R-FENCE: token ${token} of ${actor.name} after ${highest}`);
    if (token > tokens.highest) Object.assign(tokens, { highest: token, highestPath: path });
    if (isExclusive) tokens.highestExclusive = token;
  }

  #use(holding: Holding): void {
    const { held, actor, isExclusive, thing } = holding;
    const tokens = this.#tokensOf(thing);
    if (held.token >= tokens.highestUsed) {
      tokens.highestUsed = held.token;
      return;
    }
    this.#run.mark('stale token refused');
    if (isExclusive && this.#isOpen(holding))
      this.#run.violation(`R-FENCE: the store refuses ${held.token} of ${actor.name}, which holds`);
  }

  #tokensOf(thing: string): Tokens {
    const tokens = this.#tokens.get(thing) ?? { highest: 0n, highestPath: '', highestExclusive: 0n, highestUsed: 0n };
    this.#tokens.set(thing, tokens);
    return tokens;
  }

  #checkExclusion(holding: Holding): void {
    const others = [...this.#open].filter((other) => other !== holding && this.#isOpen(other));
    const foes = others.filter(
      ({ actor, thing, isExclusive }) =>
        actor !== holding.actor && thing === holding.thing && (isExclusive || holding.isExclusive),
    );
    if (foes.length > 0)
      this.#run.violation(`R-MUTEX: ${described(holding)} while ${foes.map(described).join(', ')} holds`);
    if (others.length > 0) this.#run.mark('held together');
    const { limit = Number.POSITIVE_INFINITY } = this.#rules;
    if (others.length + 1 > limit)
      this.#run.violation(
        `R-SEM: ${described(holding)} beside ${others.map(described).join(', ')}: more than ${limit}`,
      );
  }

  #isOpen(holding: Holding): boolean {
    const { actor, held, hasFired, isReleased } = holding;
    if (hasFired || isReleased || isDead(actor)) return false;
    return actor.client.sessionId === held.sessionId && actor.process.clock.now() < actor.client.leaseEnd;
  }

  #checkSignal({ actor, held, hasFired }: Holding): void {
    if (hasFired || actor.process.state !== 'running' || actor.thawedAt === this.#run.world.nowMs) return;
    const { client, process } = actor;
    const isOver = client.sessionId !== held.sessionId || process.clock.now() > client.leaseEnd + ROUNDING_MS;
    if (isOver) this.#run.violation(`R-LOST: the lease of ${actor.name} is over, and ${held.path} has not told`);
  }
}

const dueKey = (name: string, owner: bigint | undefined): string => `${name} ${owner}`;

const described = ({ actor, held, mode }: Holding): string =>
  `${actor.name} (${mode}${mode && ' '}${held.path.slice(-10)}, ${actor.process.state})`;

/** The number at the end of a sequential name. */
export const sequenceOf = (name: string): number => Number(name.slice(-10));

/** Names in the order of a line. */
export const inLine = (names: readonly string[]): string[] => names.toSorted((a, b) => sequenceOf(a) - sequenceOf(b));

const isWriter = (name: string): boolean => name.includes('__WRIT__');

/** Of a read-write lock: a writer whom nobody stands in front of, and readers that have no writer in front of them. */
export function dueOfReadWriteLock(names: readonly string[]): string[] {
  const first = Math.min(...names.map(sequenceOf));
  const firstWriter = Math.min(...names.filter(isWriter).map(sequenceOf));
  return names.filter((name) => sequenceOf(name) <= (isWriter(name) ? first : firstWriter));
}
