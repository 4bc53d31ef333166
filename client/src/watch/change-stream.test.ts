import { describe, expect, it } from 'vitest';
import { ClientClosedError } from '../errors.ts';
import { inWords, started } from './watch-stream.fixture.ts';

describe('an async iterator', () => {
  async function iterating(options: { signal?: AbortSignal } = {}) {
    const setting = await started({ paths: ['/a'] });
    const changes = setting.client.watch('/a', { recursive: true, ...options });
    return { ...setting, iterator: changes[Symbol.asyncIterator]() };
  }

  it('starts with the first next(), and answers calls in their order', async () => {
    const { server, iterator } = await iterating();
    await server.clock.settle();
    expect(server.watches).toEqual([]);
    const calls = [iterator.next(), iterator.next()];
    await server.clock.settle();
    const results = await Promise.all(calls);
    expect(results.map(({ value }) => value && inWords(value))).toEqual(['current /a -', 'synced /a']);
    await iterator.return?.();
    expect(server.watches).toEqual([]);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  it('return() ends a next() that waits', async () => {
    const { server, iterator } = await iterating();
    await iterator.next();
    await iterator.next();
    const waiting = iterator.next();
    await server.clock.settle();
    await iterator.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(server.watches).toEqual([]);
  });

  it('rejects with the reason of its signal, once, and takes its watch along', async () => {
    const controller = new AbortController();
    const { server, iterator } = await iterating({ signal: controller.signal });
    await iterator.next();
    await iterator.next();
    const waiting = iterator.next();
    waiting.catch(() => undefined);
    await server.clock.settle();
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    await server.clock.settle();
    expect(server.watches).toEqual([]);
  });

  it('rejects with ClientClosedError when the client is closed', async () => {
    const { client, server, iterator } = await iterating();
    await iterator.next();
    await iterator.next();
    await client.close();
    await server.clock.settle();
    await expect(iterator.next()).rejects.toBeInstanceOf(ClientClosedError);
  });

  it('with a signal that has fired does nothing', async () => {
    const { server, iterator } = await iterating({ signal: AbortSignal.abort(new Error('too late')) });
    await expect(iterator.next()).rejects.toThrow('too late');
    expect(server.received).not.toContain('addWatch /a');
  });
});
