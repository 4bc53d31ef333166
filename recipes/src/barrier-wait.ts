/**
 * How barriers are waited for: something wakes, and the znodes are looked at again. What both barriers have in common.
 *
 * What must always hold:
 * - A wake-up opens nothing: watch events and events of the connection only make us look (CURATOR-233, 536, #1290).
 * - Nothing is looked at without a connection, or on a server that is cut off from its quorum. Outages are waited out.
 * - When the wait is over, however it ends, no timer, listener or watch is left.
 */
import {
  ClientClosedError,
  type CuratorFramework,
  EventType,
  isRetryable,
  onAbort,
  type WatchedEvent,
  type Watcher,
} from 'zookeeper-client-ts';
import { type AcquireOptions, AcquireTimeoutError, withinTime } from './acquire-timeout.ts';
import { WakeUp } from './wake-up.ts';

/** What a look has to itself. */
export interface BarrierLook {
  readonly signal: AbortSignal;
  /** Tells that the read of `path` leaves a watch, and gives the watcher for it. */
  readonly watcherFor: (path: string) => Watcher;
}

/** `again` when what was seen is out of date already. */
export type Seen = 'pass' | 'wait' | 'again';

interface BarrierWait {
  readonly client: CuratorFramework;
  /** Of the barrier, for errors. */
  readonly path: string;
  /** Told what could not be cleaned up. */
  readonly report: (error: unknown) => void;
}

/**
 * Resolves when `look` has seen that the way is free. With `timeoutMs` 0 it looks until it has seen something, and doesn't wait.
 * @throws AcquireTimeoutError, `signal.reason`, ClientClosedError, what `look` throws and isn't worth another try
 */
export function waitAtBarrier(
  { client, path, report }: BarrierWait,
  { timeoutMs, signal }: AcquireOptions,
  look: (attempt: BarrierLook) => Promise<Seen>,
): Promise<void> {
  const isPatient = timeoutMs !== 0;
  const limit = { clock: client.clock, path, signal, timeoutMs: isPatient ? timeoutMs : undefined };
  return withinTime(limit, async (signal) => {
    const wakeUp = new WakeUp(client.clock);
    const watched = new Set<string>();
    const onEvent = (event: WatchedEvent): void => {
      // What happens to the connection doesn't use up a watch.
      if (event.type !== EventType.None) watched.delete(event.path);
      wakeUp.call();
    };
    const watcherFor = (at: string): Watcher => {
      // Before the request, so that an event that overtakes its answer isn't forgotten.
      watched.add(at);
      return onEvent;
    };
    const stop = [client.on('state', wakeUp.call), client.on('lifecycle', wakeUp.call), onAbort(signal, wakeUp.call)];
    try {
      for (;;) {
        wakeUp.clear();
        signal.throwIfAborted();
        const seen = isOnline(client, path) ? await lookOnce() : 'wait';
        if (seen === 'pass') return;
        if (seen === 'again') continue;
        if (!isPatient) throw new AcquireTimeoutError(path, 0);
        await wakeUp.sleep(seen === 'wait' ? {} : { timeoutMs: PAUSE_MS });
      }
    } finally {
      for (const each of stop) each();
      for (const at of watched) {
        client.removeWatches(at, { watcher: onEvent, quietly: true }).catch((error: unknown) => {
          // Without a connection there is no watch on the server, and with the session it goes.
          if (!isRetryable(error) && !(error instanceof ClientClosedError)) report(error);
        });
      }
    }

    async function lookOnce(): Promise<Seen | 'failed'> {
      try {
        return await look({ signal, watcherFor });
      } catch (error) {
        signal.throwIfAborted();
        if (isRetryable(error)) return 'failed';
        throw error;
      }
    }
  });
}

function isOnline({ lifecycle, connected, state }: CuratorFramework, path: string): boolean {
  if (lifecycle === 'STOPPED') throw new ClientClosedError(`the client was closed while waiting at ${path}`, { path });
  return connected && state !== 'READ_ONLY';
}

/** How long to wait before looking again when nothing is certain to wake us. */
const PAUSE_MS = 1_000;
