import type { Clock, Millis } from '../ports.ts';

/** The longest delay that a timer of Node takes; beyond it, it would fire at once. */
const TIMER_MS_MAX = 0x7fff_ffff;

/** The {@link Clock} of a real machine. */
export class SystemClock implements Clock {
  #alarm: { readonly at: Millis; readonly wake: () => void } | undefined;
  #timer: NodeJS.Timeout | undefined;

  now(): Millis {
    return performance.now();
  }

  wallTime(): Millis {
    return Date.now();
  }

  /** An alarm at infinity never rings, and does not keep the process alive. */
  setAlarm(at: Millis, wake: () => void): void {
    clearTimeout(this.#timer);
    this.#alarm = { at, wake };
    if (at === Number.POSITIVE_INFINITY) return;
    const delay = Math.min(Math.max(0, Math.ceil(at - this.now())), TIMER_MS_MAX);
    this.#timer = setTimeout(() => this.#onTimer(), delay);
  }

  soon(run: () => void): void {
    setImmediate(run);
  }

  /** A timer may be early by a fraction of a millisecond, or the alarm too far away for one timer: then it goes on waiting. */
  #onTimer(): void {
    const alarm = this.#alarm;
    if (alarm === undefined) return;
    if (this.now() < alarm.at) return this.setAlarm(alarm.at, alarm.wake);
    this.#alarm = undefined;
    alarm.wake();
  }
}
