/** Who waits for each signal. An entry is gone when nobody waits any more. */
const waiting = new WeakMap<AbortSignal, { readonly callbacks: Set<{ run(): void }>; readonly listener: () => void }>();

/**
 * Calls `run` once when the signal fires; returns what stops that. However many wait for one signal, it has one listener: a
 * program may hand one signal to a thousand calls, and Node warns of a leak at the eleventh listener. Not called for a signal
 * that has fired before.
 */
export function onAbort(signal: AbortSignal, run: () => void): () => void {
  const callback = { run };
  let waiters = waiting.get(signal);
  if (waiters === undefined) {
    const callbacks = new Set([callback]);
    const listener = (): void => {
      waiting.delete(signal);
      for (const each of [...callbacks]) if (callbacks.delete(each)) each.run();
    };
    waiters = { callbacks, listener };
    waiting.set(signal, waiters);
    signal.addEventListener('abort', listener, { once: true });
  } else {
    waiters.callbacks.add(callback);
  }
  const { callbacks, listener } = waiters;
  return () => {
    if (!callbacks.delete(callback) || callbacks.size > 0 || waiting.get(signal)?.callbacks !== callbacks) return;
    waiting.delete(signal);
    signal.removeEventListener('abort', listener);
  };
}
