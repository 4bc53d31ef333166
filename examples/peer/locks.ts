/** Locks and semaphores of a peer: taken, held for a while, given back, so many times. */
import type { CuratorFramework } from 'zookeeper-client-ts';
import {
  AcquireTimeoutError,
  type Held,
  InterProcessMultiLock,
  InterProcessMutex,
  InterProcessReadWriteLock,
  InterProcessSemaphoreMutex,
  InterProcessSemaphoreV2,
  type LineLock,
  type Ownership,
} from 'zookeeper-recipes-ts';
import { type Command, ExitCode, numberAt, required, type Setting, say, UsageError } from './conversation.ts';

/** A lock of whatever kind. */
interface Taking {
  readonly acquire: (timeoutMs: number) => Promise<{ readonly held: Held; readonly parts: readonly Ownership[] }>;
  /** What is told of what was granted. */
  readonly details?: (parts: readonly Ownership[]) => readonly string[];
  readonly participants?: () => Promise<readonly string[]>;
}

/** `HOLD_MS [TIMES] [WAIT_MS]` */
async function takeTurns({ input, args }: Setting, taking: Taking): Promise<number> {
  const [holdMs, times, timeoutMs] = [numberAt(args, 0, 1000), numberAt(args, 1, 1), numberAt(args, 2, 60_000)];
  for (let turn = 0; turn < times; turn++) {
    say('WAITING', turn);
    try {
      const { held, parts } = await taking.acquire(timeoutMs);
      say('ACQUIRED', turn, ...(taking.details?.(parts) ?? []));
      input.watch(held, parts);
      await input.hold(holdMs);
      if (taking.participants !== undefined) say('PARTICIPANTS', (await taking.participants()).length);
      say('RELEASING', turn);
      await held.release();
    } catch (error) {
      if (!(error instanceof AcquireTimeoutError)) throw error;
      say('TIMEOUT', turn);
      return ExitCode.timeout;
    }
    say('RELEASED', turn);
  }
  return ExitCode.done;
}

const lineLock = (lock: LineLock): Taking => ({
  acquire: async (timeoutMs) => {
    const held = await lock.acquire({ timeoutMs });
    return { held, parts: [held] };
  },
  participants: () => lock.getParticipantNodes(),
});

const sideOf = (client: CuratorFramework, side: string, path: string): LineLock => {
  const { readLock, writeLock } = new InterProcessReadWriteLock(client, path);
  if (side !== 'read' && side !== 'write') throw new UsageError(`read or write, not ${side}`);
  return side === 'read' ? readLock : writeLock;
};

const without = (setting: Setting, count: number): Setting => ({ ...setting, args: setting.args.slice(count) });

/** A lock whose handle has other handles in it, for all that can be seen from here. */
const isOwnership = (held: Held): held is Ownership => 'token' in held;

export const locks: Readonly<Record<string, Command>> = {
  lock: (setting) => {
    const mutex = new InterProcessMutex(setting.client, required(setting.args, 0));
    return takeTurns(without(setting, 1), lineLock(mutex));
  },

  rwlock: (setting) => {
    const lock = sideOf(setting.client, required(setting.args, 0), required(setting.args, 1));
    return takeTurns(without(setting, 2), lineLock(lock));
  },

  semmutex: (setting) => {
    const mutex = new InterProcessSemaphoreMutex(setting.client, required(setting.args, 0));
    return takeTurns(without(setting, 1), {
      acquire: async (timeoutMs) => {
        const held = await mutex.acquire({ timeoutMs });
        return { held, parts: [held] };
      },
    });
  },

  multilock: (setting) => {
    const lock = new InterProcessMultiLock(setting.client, required(setting.args, 0).split(','));
    return takeTurns(without(setting, 1), {
      acquire: async (timeoutMs) => {
        const held = await lock.acquire({ timeoutMs });
        return { held, parts: held.parts.filter(isOwnership) };
      },
    });
  },

  /** `PATH MAX HOLD_MS [TIMES] [WAIT_MS] [COUNT]` */
  semaphore: (setting) => {
    const { client, args } = setting;
    const semaphore = new InterProcessSemaphoreV2(client, required(args, 0), numberAt(args, 1, 1));
    return takeTurns(without(setting, 2), {
      acquire: async (timeoutMs) => {
        const held = await semaphore.acquireMany(numberAt(args, 5, 1), { timeoutMs });
        return { held, parts: held.parts };
      },
      details: (parts) => parts.map(({ path }) => path.slice(path.lastIndexOf('/') + 1)),
    });
  },
};
