/**
 * The one clock and the one queue of a simulated world. Events are ordered by (time, priority, sequence); time is integer
 * microseconds since the start of the world and jumps from event to event.
 *
 * Everything that happens comes from a {@link Source}: the timers of a process, one direction of a stream, one disk
 * operation. A source has at most one event in the queue and offers the next one when that has run, so the order within a
 * source can't be lost, whatever happens to the priorities or to a frozen process. Between sources of the same
 * microsecond the seed decides.
 */
import { Draws, wordOf } from './random.ts';

/** Runs after all other events of its microsecond. */
export const LAST = Number.POSITIVE_INFINITY;

const NO_BYTES = new Uint8Array(0);

/** The process that an event happens to. */
export interface EventOwner {
  readonly name: string;
  /** Whether microtasks must be drained after each of its events. */
  readonly usesPromises: boolean;
  readonly state: 'running' | 'frozen' | 'dead';
  /** Events that came due while it was frozen, in order. */
  readonly held: QueuedEvent[];
  /** How many have run. */
  events: number;
}

export interface QueuedEvent {
  atUs: number;
  priority: number;
  sequence: number;
  readonly source: Source;
  readonly what: EventDescription;
  cancelled: boolean;
  /** Its time has come and its effect is done; a frozen process may still have to hear of it. */
  performed: boolean;
}

export interface EventDescription {
  /** For the trace. */
  readonly kind: string;
  /** What the kernel does at that time, even if the process is frozen or dead by then. */
  readonly effect?: () => void;
  /** The bytes that the event carries, taken when it runs. */
  readonly payload?: () => Uint8Array;
  readonly run: (payload: Uint8Array) => void;
}

/** Where events come from, one after the other. Without an owner they happen to the world itself. */
export class Source {
  readonly owner: EventOwner | undefined;
  readonly #queue: EventQueue;
  readonly #key: number;
  readonly #priority: number;
  /** Events that were already overdue when they were scheduled: after a pause, a resume, a thaw. */
  #overdue = 0;

  /** @param name stable between runs, and of this source only */
  constructor(queue: EventQueue, owner: EventOwner | undefined, name: string, priority?: number) {
    this.owner = owner;
    this.#queue = queue;
    this.#key = wordOf(name);
    this.#priority = priority ?? queue.draws.u32(this.#key);
  }

  /** In the past means now. Overdue events take a new place among the sources each time: a backlog is interleaved. */
  schedule(atUs: number, what: EventDescription): QueuedEvent {
    const overdue = atUs < this.#queue.nowUs;
    return this.#queue.add({
      atUs: overdue ? this.#queue.nowUs : atUs,
      priority: overdue ? this.drawPriority() : this.#priority,
      sequence: 0,
      source: this,
      what,
      cancelled: false,
      performed: false,
    });
  }

  /** A new place among the sources of one microsecond. */
  drawPriority(): number {
    return this.#queue.draws.u32(this.#key, ++this.#overdue);
  }
}

/** Payload of an event, empty if it carries none. */
export const payloadOf = (what: EventDescription): Uint8Array => what.payload?.() ?? NO_BYTES;

export class EventQueue {
  readonly draws: Draws;
  /** What machines and wires do by themselves. */
  readonly kernel: Source;
  #nowUs = 0;
  /** A binary heap. Cancelled events stay until they come up. */
  readonly #heap: QueuedEvent[] = [];
  #sequence = 0;

  constructor(seed: number) {
    this.draws = new Draws(seed, 'priority');
    this.kernel = new Source(this, undefined, 'kernel');
  }

  get nowUs(): number {
    return this.#nowUs;
  }

  add(event: QueuedEvent): QueuedEvent {
    event.sequence = this.#sequence++;
    const heap = this.#heap;
    let child = heap.length;
    heap.push(event);
    while (child > 0) {
      const parent = (child - 1) >> 1;
      const above = heap[parent] as QueuedEvent; // parent < child < length
      if (!isBefore(event, above)) break;
      heap[child] = above;
      child = parent;
    }
    heap[child] = event;
    return event;
  }

  /** Takes the next event due at or before this time and moves the clock to it; undefined moves the clock to `untilUs`. */
  next(untilUs: number): QueuedEvent | undefined {
    for (let head = this.#heap[0]; head !== undefined && head.atUs <= untilUs; head = this.#heap[0]) {
      this.#removeHead();
      if (head.cancelled) continue;
      this.#nowUs = head.atUs;
      return head;
    }
    if (untilUs !== Number.POSITIVE_INFINITY) this.#nowUs = untilUs;
    return undefined;
  }

  #removeHead(): void {
    const heap = this.#heap;
    const moved = heap.pop();
    if (moved === undefined || heap.length === 0) return;
    let parent = 0;
    for (let child = 1; child < heap.length; child = 2 * parent + 1) {
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as QueuedEvent)) child++;
      const smaller = heap[child] as QueuedEvent; // child < length
      if (!isBefore(smaller, moved)) break;
      heap[parent] = smaller;
      parent = child;
    }
    heap[parent] = moved;
  }
}

const isBefore = (a: QueuedEvent, b: QueuedEvent): boolean => {
  if (a.atUs !== b.atUs) return a.atUs < b.atUs;
  if (a.priority !== b.priority) return a.priority < b.priority;
  return a.sequence < b.sequence;
};
