/**
 * Catches code that reaches past its ports. While a simulated event runs, real time, real timers, real randomness and real
 * sockets throw `nondeterminism: X`, and `Buffer.allocUnsafe` gives memory with a pattern, so that bytes nobody wrote
 * change the trace instead of hiding.
 *
 * The originals are wrapped once per run, and the wrappers pass through except while the trap is armed: the test runner,
 * which lives in the same process, uses them in between. Promises, `queueMicrotask` and `process.nextTick` stay as they
 * are, because their order is fixed.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';

/** Code under simulation used something that differs from run to run. */
export class NondeterminismError extends Error {
  override readonly name = 'NondeterminismError';

  constructor(what: string) {
    super(`nondeterminism: ${what}`);
  }
}

type AnyFunction = (...args: never[]) => unknown;
type Holder = Record<string, unknown>;

const require = createRequire(import.meta.url);

/** Module objects whose functions are trapped; a named import of them is rebound too. */
const MODULES: readonly [module: string, functions: readonly string[]][] = [
  ['node:timers', ['setTimeout', 'setInterval', 'setImmediate']],
  ['node:timers/promises', ['setTimeout', 'setInterval', 'setImmediate']],
  ['node:dns', ['lookup', 'resolve']],
  ['node:net', ['connect', 'createConnection', 'createServer']],
  ['node:crypto', ['randomBytes', 'randomUUID', 'randomInt', 'randomFill', 'randomFillSync']],
];

const UNWRITTEN_BYTE = 0xa5;

export class NondeterminismTrap {
  /** True while simulated code runs. */
  #armed = false;
  #caught: NondeterminismError | undefined;
  readonly #restore: (() => void)[] = [];

  /** The first one thrown, for code that catches everything would hide it. */
  get caught(): NondeterminismError | undefined {
    return this.#caught;
  }

  arm(): void {
    this.#armed = true;
  }

  disarm(): void {
    this.#armed = false;
  }

  install(): void {
    const global = globalThis as unknown as Holder;
    for (const name of ['setTimeout', 'setInterval', 'setImmediate']) this.#trap(global, name, name);
    this.#trap(Math as unknown as Holder, 'random', 'Math.random');
    this.#trap(performance as unknown as Holder, 'now', 'performance.now');
    this.#trap(process as unknown as Holder, 'hrtime', 'process.hrtime');
    this.#trap(process as unknown as Holder, 'uptime', 'process.uptime');
    this.#trap(AbortSignal as unknown as Holder, 'timeout', 'AbortSignal.timeout');
    this.#trap(crypto as unknown as Holder, 'getRandomValues', 'crypto.getRandomValues');
    this.#trap(crypto as unknown as Holder, 'randomUUID', 'crypto.randomUUID');
    for (const [module, functions] of MODULES) {
      for (const name of functions) this.#trap(require(module) as Holder, name, `${module.slice(5)}.${name}`);
    }
    syncBuiltinESMExports();
    this.#trapConstruction('WeakRef');
    this.#trapConstruction('FinalizationRegistry');
    this.#replace(global, 'Date', this.#trappedDate(Date));
    this.#patternAllocation('allocUnsafe');
    this.#patternAllocation('allocUnsafeSlow');
  }

  /** Puts all originals back. */
  remove(): void {
    this.disarm();
    for (const restore of this.#restore.splice(0).reverse()) restore();
    syncBuiltinESMExports();
  }

  #refuse(what: string): void {
    if (!this.#armed) return;
    const error = new NondeterminismError(what);
    this.#caught ??= error;
    throw error;
  }

  #trap(holder: Holder, name: string, what: string): void {
    const original = holder[name] as AnyFunction;
    const trapped = new Proxy(original, {
      apply: (target, self, args) => {
        this.#refuse(what);
        return Reflect.apply(target, self, args);
      },
      // `process.hrtime.bigint` and its like.
      get: (target, key) => {
        if (key === 'bigint') this.#refuse(`${what}.bigint`);
        return Reflect.get(target, key);
      },
    });
    this.#replace(holder, name, trapped);
  }

  #trapConstruction(name: 'WeakRef' | 'FinalizationRegistry'): void {
    const trapped = new Proxy(globalThis[name] as unknown as new (...args: unknown[]) => object, {
      construct: (target, args, newTarget) => {
        this.#refuse(name);
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
    this.#replace(globalThis as unknown as Holder, name, trapped);
  }

  /** `new Date(ms)` is a calculation; `new Date()`, `Date()` and `Date.now` read the machine's clock. */
  #trappedDate(original: DateConstructor): DateConstructor {
    return new Proxy(original, {
      construct: (target, args, newTarget) => {
        if (args.length === 0) this.#refuse('new Date()');
        return Reflect.construct(target, args, newTarget) as object;
      },
      apply: (target) => {
        this.#refuse('Date()');
        return target();
      },
      get: (target, key) => {
        if (key === 'now') this.#refuse('Date.now');
        return Reflect.get(target, key);
      },
    });
  }

  #patternAllocation(name: 'allocUnsafe' | 'allocUnsafeSlow'): void {
    const original = Buffer[name];
    const patterned = (size: number): Buffer =>
      this.#armed ? Buffer.alloc(size, UNWRITTEN_BYTE) : (original.call(Buffer, size) as Buffer);
    this.#replace(Buffer as unknown as Holder, name, patterned);
  }

  #replace(holder: Holder, name: string, value: unknown): void {
    const own = Object.getOwnPropertyDescriptor(holder, name);
    Object.defineProperty(holder, name, {
      value,
      configurable: true,
      writable: true,
      enumerable: own?.enumerable ?? false,
    });
    this.#restore.push(() => {
      if (own === undefined) delete holder[name];
      else Object.defineProperty(holder, name, own);
    });
  }
}
