import type { Millis } from '../ports.ts';

/** What the throttle is told (`connection_throttle_*`). */
export interface ConnectionThrottleLimits {
  /** How many may come at once (`tokens`); 0 is off. */
  readonly tokens: number;
  /** So many tokens come back … (`fill_count`) */
  readonly fillCount: number;
  /** … in so many ms (`fill_time`). */
  readonly fillTimeMs: Millis;
  /** The chance of a refusal changes at most this often (`freeze_time`); -1: none is refused by chance. */
  readonly freezeTimeMs: Millis;
  /** By how much the chance grows when no token is left (`drop_increase`). */
  readonly dropIncrease: number;
  /** By how much it shrinks when enough are left (`drop_decrease`). */
  readonly dropDecrease: number;
  /** Enough are left when at most this share of them is taken (`decrease_ratio`). */
  readonly decreaseRatio: number;
  /** What a session costs in tokens (`weight_enabled` and the weights); undefined: one, whichever it is. */
  readonly weights: SessionWeights | undefined;
}

/** Tokens that a session costs. */
export interface SessionWeights {
  /** One that is created (`global_session_weight`). */
  readonly created: number;
  /** One that is continued (`renew_session_weight`). */
  readonly renewed: number;
}

/** The original's defaults: off. */
export const CONNECTION_THROTTLE_DEFAULTS: ConnectionThrottleLimits = {
  tokens: 0,
  fillCount: 1,
  fillTimeMs: 1,
  freezeTimeMs: -1,
  dropIncrease: 0.02,
  dropDecrease: 0.002,
  decreaseRatio: 0,
  weights: undefined,
};

/** The original's defaults, where they count. */
export const SESSION_WEIGHT_DEFAULTS: SessionWeights = { created: 3, renewed: 2 };

/**
 * How many clients may ask for a session in a time: a bucket of tokens, which lets a burst pass and then so many a second
 * (the original's `BlueThrottle`). Because whoever comes late into a full second would always be the one to go, it can refuse
 * by chance as well, with a probability that follows the load (BLUE queue management).
 *
 * With weights, the settings count in sessions that are created, as in the original: the bucket holds their weight for each.
 */
export class ConnectionThrottle {
  readonly #limits: ConnectionThrottleLimits;
  /** The chances: at least 0, below 1. */
  readonly #random: () => number;
  readonly #tokensMax: number;
  readonly #fillCount: number;
  #tokens: number;
  #filledAt: Millis;
  #chanceChangedAt: Millis;
  #dropChance = 0;

  constructor(limits: ConnectionThrottleLimits, { now, random }: { now: Millis; random: () => number }) {
    this.#limits = limits;
    this.#random = random;
    const unit = limits.weights?.created ?? 1;
    this.#tokensMax = limits.tokens * unit;
    this.#fillCount = limits.fillCount * unit;
    this.#tokens = this.#tokensMax;
    this.#filledAt = now;
    this.#chanceChangedAt = now;
  }

  /** The chance at which a client is refused although there may be tokens. */
  get dropChance(): number {
    return this.#dropChance;
  }

  /** Tokens that are taken. */
  get deficit(): number {
    return this.#tokensMax - this.#tokens;
  }

  /** Takes the tokens for a session. @returns false, and takes none, if it may not be had now */
  take(which: keyof SessionWeights, now: Millis): boolean {
    if (this.#tokensMax === 0) return true;
    this.#fill(now);
    if (this.#isOutOfLuck(now)) return false;
    const needed = this.#limits.weights?.[which] ?? 1;
    if (this.#tokens < needed) return false;
    this.#tokens -= needed;
    return true;
  }

  #fill(now: Millis): void {
    const passed = now - this.#filledAt;
    if (passed <= this.#limits.fillTimeMs) return;
    const filled = Math.floor((passed * this.#fillCount) / this.#limits.fillTimeMs);
    this.#tokens = Math.min(this.#tokens + filled, this.#tokensMax);
    this.#filledAt = now;
  }

  #isOutOfLuck(now: Millis): boolean {
    const { freezeTimeMs, dropIncrease, dropDecrease, decreaseRatio } = this.#limits;
    if (freezeTimeMs === -1) return false;
    if (now - this.#chanceChangedAt > freezeTimeMs) {
      const enoughAreLeft = this.deficit <= Math.round(this.#tokensMax * decreaseRatio);
      if (this.#tokens === 0) this.#dropChance = Math.min(this.#dropChance + dropIncrease, 1);
      else if (enoughAreLeft) this.#dropChance = Math.max(this.#dropChance - dropDecrease, 0);
      this.#chanceChangedAt = now;
    }
    return this.#random() < this.#dropChance;
  }
}
