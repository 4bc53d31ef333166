/**
 * The clock of one process, for server and client alike: the world's time, seen with an origin, a rate and a wall clock of
 * its own. Timers fire at their time or later, never earlier: when the process is frozen the clock goes on, and what is
 * overdue at the thaw comes by deadline.
 */

import type { Clock as ClientClock, Timer } from 'zookeeper-client-ts';
import type { Millis, Clock as ServerClock } from 'zookeeper-server-ts';
import { type EventOwner, type EventQueue, LAST, type QueuedEvent, Source } from './event-queue.ts';

/** 2026-01-01T00:00:00Z: where all wall clocks start. */
const WALL_START_MS = 1_767_225_600_000;

export interface ClockOptions {
  /** What the monotonic clock shows at the start of the world. Differs between machines, as uptimes do. */
  readonly originMs?: Millis;
  /** How much faster than the world this clock runs, in parts per million; may be negative. */
  readonly ratePpm?: number;
}

interface PendingTimer {
  readonly dueUs: number;
  readonly run: () => void;
}

interface Alarm {
  readonly event: QueuedEvent;
  wake: () => void;
}

export class ProcessClock implements ServerClock, ClientClock {
  readonly #queue: EventQueue;
  readonly #originUs: number;
  readonly #ratePpm: number;
  #wallOffsetMs = 0;
  readonly #alarmSource: Source;
  #alarm: Alarm | undefined;
  readonly #timerSource: Source;
  /** By deadline; equal deadlines in the order they were asked for. Only the first one is in the queue. */
  readonly #timers: PendingTimer[] = [];
  #timerEvent: QueuedEvent | undefined;
  readonly #soonSource: Source;
  /** Only the first one is in the queue. */
  readonly #soon: (() => void)[] = [];

  constructor(queue: EventQueue, owner: EventOwner, id: string, { originMs = 0, ratePpm = 0 }: ClockOptions = {}) {
    this.#queue = queue;
    this.#originUs = Math.round(originMs * 1000);
    this.#ratePpm = ratePpm;
    this.#alarmSource = new Source(queue, owner, `${id}/alarm`);
    this.#timerSource = new Source(queue, owner, `${id}/timers`);
    this.#soonSource = new Source(queue, owner, `${id}/soon`, LAST);
  }

  now(): Millis {
    return this.#localMs(this.#queue.nowUs);
  }

  wallTime(): Millis {
    return Math.floor(WALL_START_MS + this.#wallOffsetMs + this.#queue.nowUs / 1000);
  }

  /** Sets the wall clock forward, or back. */
  jumpWallClock(byMs: Millis): void {
    this.#wallOffsetMs += byMs;
  }

  setAlarm(at: Millis, wake: () => void): void {
    if (at === Number.POSITIVE_INFINITY) {
      if (this.#alarm !== undefined) this.#alarm.event.cancelled = true;
      this.#alarm = undefined;
      return;
    }
    const atUs = Math.max(this.#worldUs(at), this.#queue.nowUs);
    if (this.#alarm !== undefined && this.#alarm.event.atUs === atUs) {
      this.#alarm.wake = wake; // a server sets the same alarm again in most of its turns
      return;
    }
    if (this.#alarm !== undefined) this.#alarm.event.cancelled = true;
    this.#alarm = { wake, event: this.#alarmSource.schedule(atUs, { kind: 'alarm', run: () => this.#onAlarm() }) };
  }

  after(ms: Millis, run: () => void): Timer {
    const timer: PendingTimer = { dueUs: this.#worldUs(this.now() + Math.max(ms, 0)), run };
    const later = this.#timers.findIndex((other) => other.dueUs > timer.dueUs);
    this.#timers.splice(later < 0 ? this.#timers.length : later, 0, timer);
    this.#armTimers();
    return { cancel: () => this.#cancel(timer) };
  }

  soon(run: () => void): void {
    this.#soon.push(run);
    if (this.#soon.length === 1) this.#armSoon();
  }

  #onAlarm(): void {
    const alarm = this.#alarm;
    this.#alarm = undefined;
    alarm?.wake();
  }

  #cancel(timer: PendingTimer): void {
    const index = this.#timers.indexOf(timer);
    if (index < 0) return;
    this.#timers.splice(index, 1);
    this.#armTimers();
  }

  /** Keeps exactly the first timer in the queue. */
  #armTimers(): void {
    const first = this.#timers[0];
    if (this.#timerEvent !== undefined) {
      if (first !== undefined && this.#timerEvent.atUs === Math.max(first.dueUs, this.#queue.nowUs)) return;
      this.#timerEvent.cancelled = true;
      this.#timerEvent = undefined;
    }
    if (first === undefined) return;
    this.#timerEvent = this.#timerSource.schedule(first.dueUs, { kind: 'timer', run: () => this.#onTimer() });
  }

  #onTimer(): void {
    this.#timerEvent = undefined;
    const timer = this.#timers.shift();
    this.#armTimers();
    timer?.run();
  }

  #armSoon(): void {
    this.#soonSource.schedule(this.#queue.nowUs, { kind: 'soon', run: () => this.#onSoon() });
  }

  #onSoon(): void {
    const run = this.#soon.shift();
    if (this.#soon.length > 0) this.#armSoon();
    run?.();
  }

  #localMs(worldUs: number): Millis {
    return (this.#originUs + worldUs + Math.floor((worldUs * this.#ratePpm) / 1e6)) / 1000;
  }

  /** The first microsecond of the world at which `now()` shows `ms` or more. */
  #worldUs(ms: Millis): number {
    let us = Math.max(Math.ceil((ms * 1000 - this.#originUs) / (1 + this.#ratePpm / 1e6)), 0);
    while (us > 0 && this.#localMs(us - 1) >= ms) us--;
    while (this.#localMs(us) < ms) us++;
    return us;
  }
}
