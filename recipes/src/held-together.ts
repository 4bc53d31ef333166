/**
 * Several things held as one: it ends when any of them does. What multi locks and quantities of leases give out.
 *
 * What must always hold: released in the reverse order of being granted, every one of them, also if one can't be; then the
 * first failure is told.
 */
import type { Held } from './lock.ts';
import { askFirst, OwnershipLostError } from './ownership.ts';

export class HeldTogether<Part extends Held = Held> implements Held {
  /** In the order in which they were granted. */
  readonly parts: readonly Part[];
  /** Fires with the reason of the first part that ends. */
  readonly signal: AbortSignal;
  readonly #path: string;
  readonly #controller = new AbortController();
  #released: Promise<void> | undefined;

  /** For recipes. @param path of what was acquired, for errors */
  constructor(path: string, parts: readonly Part[]) {
    this.#path = path;
    this.parts = parts;
    this.signal = askFirst(this.#controller.signal, () => this.#endIfAnyHas());
    for (const { signal } of parts) signal.addEventListener('abort', () => this.#endIfAnyHas(), { once: true });
    this.#endIfAnyHas();
  }

  /** Whether all are held at this moment. */
  isHeld(): boolean {
    return !this.signal.aborted;
  }

  /** Fires the signal, then gives all of them up, the last one first. May be called again. */
  release(): Promise<void> {
    this.#controller.abort(new OwnershipLostError(this.#path, 'RELEASED'));
    this.#released ??= releaseAll(this.parts);
    return this.#released;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #endIfAnyHas(): void {
    const ended = this.parts.find(({ signal }) => signal.aborted);
    if (ended !== undefined) this.#controller.abort(ended.signal.reason);
  }
}

/** Releases all, the last one first; rejects with the first failure when all have been tried. */
export async function releaseAll(parts: readonly Held[]): Promise<void> {
  const failures: unknown[] = [];
  for (const part of parts.toReversed()) await part.release().catch((error) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
