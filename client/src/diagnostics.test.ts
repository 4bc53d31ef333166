import { channel, subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ConnectionStateMessage, RequestMessage, RetryMessage, SessionMessage } from './diagnostics.ts';
import { CuratorFramework } from './framework.ts';
import { FakeServer } from './operations/fake-server.fixture.ts';
import { RetryNTimes } from './retry.ts';

const undo: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});

async function started() {
  const server = new FakeServer();
  const client = CuratorFramework.builder()
    .connectString(`${server.connectString}/app`)
    .retryPolicy(new RetryNTimes(1, 100))
    .ensembleTracker(false)
    .ports(server.ports)
    .build();
  server.make('/app');
  undo.push(() => client.close());
  client.start();
  await server.clock.settle();
  return { server, client };
}

/** The messages of a channel from now on, each as it was when it was published. */
function listen<Message extends object>(name: string): Message[] {
  const messages: Message[] = [];
  const take = (message: unknown) => void messages.push({ ...(message as Message) });
  subscribe(name, take);
  undo.push(() => void unsubscribe(name, take));
  return messages;
}

describe('tracing:zookeeper:request', () => {
  it('tells of each request when it is called, and when it is answered', async () => {
    const { server, client } = await started();
    const starts = listen<RequestMessage>('tracing:zookeeper:request:start');
    const ends = listen<RequestMessage>('tracing:zookeeper:request:asyncEnd');
    const created = client.create('/a', { data: 'text' });
    await server.clock.settle();
    await created;
    expect(starts).toEqual([expect.objectContaining({ operation: 'create2', path: '/a', xid: undefined })]);
    expect(ends).toEqual([
      {
        operation: 'create2',
        path: '/a',
        server: 'zk1:2181',
        sessionId: client.sessionId,
        xid: expect.any(Number),
        requestBytes: expect.any(Number),
        zxid: client.zookeeper.lastZxid,
        responseBytes: expect.any(Number),
        errorCode: 'OK',
        latencyMs: 0,
        result: expect.objectContaining({ path: '/a' }),
      },
    ]);
    // Header 8, path 4 + 6, data 4 + 4, one ACL entry 4 + 4 + 9 + 10, flags 4.
    expect(ends[0]?.requestBytes).toBe(57);
  });

  it('tells of a refusal, with its code and error', async () => {
    const { server, client } = await started();
    const errors = listen<RequestMessage>('tracing:zookeeper:request:error');
    const read = client.getData('/missing').catch((error: unknown) => error);
    await server.clock.settle();
    const error = await read;
    expect(errors).toEqual([
      expect.objectContaining({ operation: 'getData', path: '/missing', errorCode: 'NO_NODE', error, latencyMs: 0 }),
    ]);
  });

  it('tells of a request without an answer, without what only an answer has', async () => {
    const { server, client } = await started();
    const errors = listen<RequestMessage>('tracing:zookeeper:request:error');
    server.fate = ({ operation }) => (operation === 'getData' ? 'ignore' : undefined);
    const read = client.zookeeper.getData('/', { timeoutMs: 700 }).catch((error: unknown) => error);
    await server.clock.advance(700);
    expect(errors).toEqual([
      expect.objectContaining({ xid: expect.any(Number), errorCode: undefined, zxid: undefined, latencyMs: 700 }),
    ]);
    expect(await read).toMatchObject({ code: 'OPERATION_TIMEOUT' });
  });

  it('has the form of a tracing channel', async () => {
    const { server, client } = await started();
    const events: string[] = [];
    const requests = tracingChannel<unknown, RequestMessage>('zookeeper:request');
    const take = (event: string) => () => void events.push(event);
    const handlers = {
      start: take('start'),
      end: take('end'),
      asyncStart: take('asyncStart'),
      asyncEnd: take('asyncEnd'),
      error: take('error'),
    };
    requests.subscribe(handlers);
    undo.push(() => void requests.unsubscribe(handlers));
    const read = client.getData('/').catch(() => undefined);
    await server.clock.settle();
    await read;
    expect(events).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
  });
});

describe('the channels', () => {
  it('have nobody to tell unless somebody subscribes', () => {
    for (const name of ['zookeeper:session', 'zookeeper:connection-state', 'zookeeper:retry']) {
      expect(channel(name).hasSubscribers).toBe(false);
    }
    expect(channel('tracing:zookeeper:request:start').hasSubscribers).toBe(false);
  });
});

describe('the other channels', () => {
  it('tell of sessions, connection states and retries', async () => {
    const sessions = listen<SessionMessage>('zookeeper:session');
    const states = listen<ConnectionStateMessage>('zookeeper:connection-state');
    const retries = listen<RetryMessage>('zookeeper:retry');
    const { server, client } = await started();
    server.fate = ({ operation }) => (operation === 'getData' ? 'lose request' : undefined);
    const read = client.getData('/').catch((error: unknown) => error);
    await server.clock.advance(5000);
    const connectString = 'zk1:2181/app';
    expect(sessions.slice(0, 2)).toEqual([
      { state: 'SyncConnected', sessionId: client.sessionId, server: 'zk1:2181', connectString },
      { state: 'Disconnected', sessionId: client.sessionId, server: undefined, connectString },
    ]);
    expect(states.slice(0, 3)).toEqual([
      { state: 'CONNECTED', previous: undefined, sessionId: client.sessionId },
      { state: 'SUSPENDED', previous: 'CONNECTED', sessionId: client.sessionId },
      { state: 'RECONNECTED', previous: 'SUSPENDED', sessionId: client.sessionId },
    ]);
    const error = await read;
    expect(retries).toEqual([
      { attempt: 1, elapsedMs: 0, delayMs: 100, error: expect.objectContaining({ code: 'CONNECTION_LOSS' }) },
      { attempt: 2, elapsedMs: expect.any(Number), delayMs: undefined, error },
    ]);
  });
});

/** The example in the documentation, as a module. */
async function exampleFromDocumentation(): Promise<string> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const document = readFileSync(join(root, 'docs/client.md'), 'utf8');
  const [, code] = /## Tracing[\s\S]*?```ts\n([\s\S]*?)```/.exec(document) ?? [];
  if (code === undefined) throw new Error('the documentation of tracing has no example');
  const cache = join(root, 'node_modules/.cache');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'tracing-'));
  undo.push(() => rm(folder, { recursive: true }));
  const file = join(folder, 'example.ts');
  await writeFile(file, code);
  return file;
}

/** The last one: nothing takes the example's subscription away. */
describe('the example in the documentation', () => {
  it('prints a line for each request', async () => {
    const printed = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    undo.push(() => printed.mockRestore());
    await import(await exampleFromDocumentation());
    const { server, client } = await started();
    const read = client.getData('/missing').catch(() => undefined);
    await server.clock.settle();
    await read;
    expect(printed.mock.calls).toEqual([['getData /missing at zk1:2181: NO_NODE in 0 ms']]);
  });
});
