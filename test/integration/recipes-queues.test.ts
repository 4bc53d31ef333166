/** Queues on a server of ours: every item gets to one consumer, over lost sessions, lost connections and lost answers. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  ClientClosedError,
  ConnectionLossError,
  type CuratorFramework,
  connect,
  ExponentialBackoffRetry,
  NoAuthError,
  NoWatcherError,
  type Ports,
  READ_ACL,
  SchemaSet,
  SchemaViolationError,
  systemPorts,
} from 'zookeeper-client-ts';
import {
  type ConsumeOptions,
  DeserializationError,
  DistributedDelayQueue,
  DistributedIdQueue,
  DistributedPriorityQueue,
  DistributedQueue,
  json,
  OwnershipLostError,
  type QueueMessage,
  type QueueOptions,
  RecipeStateError,
  SimpleDistributedQueue,
  string,
  UnknownItemError,
} from 'zookeeper-recipes-ts';
import { TestingServer } from 'zookeeper-server-ts/testing';
import { LossyTransport } from './lossy-transport.fixture.ts';

let server: TestingServer;
const clients: CuratorFramework[] = [];

beforeEach(async () => {
  server = await TestingServer.start();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await server.close();
});

async function newClient({ schemaSet, ...ports }: Partial<Ports> & { schemaSet?: SchemaSet } = {}) {
  const client = await connect(server.connectString, {
    sessionTimeoutMs: 10_000,
    retry: new ExponentialBackoffRetry(10, 10, 100),
    ports: { ...systemPorts(), ...ports },
    schemaSet,
  });
  clients.push(client);
  return client;
}

const newQueue = (client: CuratorFramework, options: QueueOptions<string> = {}) =>
  new DistributedQueue(client, '/queue', { serializer: string, ...options });

/** A consumer, one step at a time. */
const consumerOf = <T>(
  queue: { consume(options?: ConsumeOptions): AsyncIterable<QueueMessage<T>> },
  options: ConsumeOptions = {},
) => queue.consume(options)[Symbol.asyncIterator]();

/** The next so many messages. */
async function take<T>(consumer: AsyncIterator<QueueMessage<T>>, count: number): Promise<QueueMessage<T>[]> {
  const messages: QueueMessage<T>[] = [];
  while (messages.length < count) {
    const { value, done } = await consumer.next();
    if (done) throw new Error('the consumer has ended');
    messages.push(value);
  }
  return messages;
}

async function takeOne<T>(consumer: AsyncIterator<QueueMessage<T>>): Promise<QueueMessage<T>> {
  const [message] = await take(consumer, 1);
  if (message === undefined) throw new Error('one was asked for');
  return message;
}

/** The next so many values, each acknowledged. */
async function drain<T>(consumer: AsyncIterator<QueueMessage<T>>, count: number): Promise<T[]> {
  const values: T[] = [];
  while (values.length < count) {
    const message = await takeOne(consumer);
    values.push(message.value);
    await message.ack();
  }
  return values;
}

const childrenOf = async (client: CuratorFramework, path: string) => (await client.getChildren(path)).sort();

/** Hears of the errors of a queue, or of a client. */
function errorsOf(source: { on(event: 'error', listener: (error: unknown) => void): () => void }): unknown[] {
  const errors: unknown[] = [];
  source.on('error', (error) => errors.push(error));
  return errors;
}

describe('a queue', () => {
  for (const delivery of ['at-least-once', 'at-most-once'] as const) {
    it(`gives each item to one of several consumers, and to each of them in order, ${delivery}`, async () => {
      const queue = (client: CuratorFramework) =>
        new DistributedQueue(client, '/queue', { serializer: json<number>() });
      const producer = queue(await newClient());
      const got: number[][] = [[], [], []];
      const consumers = await Promise.all(
        got.map(async (mine, index) => {
          const consumer = queue(await newClient());
          consumer.onMessage((value) => void mine.push(value), { delivery, prefetch: [1, 4, 16][index] });
          return consumer;
        }),
      );
      const all = Array.from({ length: 150 }, (_, index) => index);
      await Promise.all(all.map((index) => producer.put(index)));
      await expect.poll(() => got.flat().length).toBe(150);
      await Promise.all([...consumers, producer].map((each) => each.close()));
      expect(got.flat().sort((a, b) => a - b)).toEqual(all);
      for (const mine of got) expect(mine).toEqual(mine.toSorted((a, b) => a - b));
      const client = await newClient();
      expect(await childrenOf(client, '/queue')).toEqual([]);
      expect(await childrenOf(client, '/queue-producers')).toEqual([]);
      if (delivery === 'at-least-once') expect(await childrenOf(client, '/queue-locks')).toEqual([]);
    });

    it(`hears of what is put after an outage, ${delivery} (CURATOR-623)`, async () => {
      const consumer = consumerOf(newQueue(await newClient()), { delivery });
      const queue = newQueue(await newClient());
      await queue.put('before');
      await drain(consumer, 1);
      await server.restart();
      await queue.put('after');
      expect(await drain(consumer, 1)).toEqual(['after']);
    });

    it(`hears of what is put after its session has expired, ${delivery}`, async () => {
      const client = await newClient();
      const consumer = consumerOf(newQueue(client), { delivery });
      const waiting = drain(consumer, 1);
      await expect.poll(() => client.checkExists('/queue')).toBeDefined();
      await server.expireSession(client.sessionId);
      await newQueue(await newClient()).put('after');
      expect(await waiting).toEqual(['after']);
    });

    it(`keeps what can't be read, tells it once, and goes on, ${delivery}`, async () => {
      const client = await newClient();
      const queue = newQueue(client);
      const errors = errorsOf(queue);
      await queue.put('first');
      await client.create('/queue/queue-', { mode: 'PERSISTENT_SEQUENTIAL', data: 'poison' });
      const consumer = consumerOf(queue, { delivery, prefetch: 4 });
      await drain(consumer, 1);
      await queue.put('second');
      await drain(consumer, 1);
      await queue.close();
      expect(errors).toEqual([expect.any(DeserializationError)]);
      expect(errors[0]).toMatchObject({ path: '/queue/queue-0000000001' });
      expect((await client.getData('/queue/queue-0000000001')).data.toString()).toBe('poison');
    });

    it(`moves what can't be read to the error path, ${delivery}`, async () => {
      const client = await newClient();
      const queue = newQueue(client, { errorPath: '/errors' });
      const errors = errorsOf(queue);
      await client.create('/queue/queue-', { mode: 'PERSISTENT_SEQUENTIAL', data: 'poison', parents: true });
      await queue.put('good');
      expect(await drain(consumerOf(queue, { delivery }), 1)).toEqual(['good']);
      expect(errors).toEqual([expect.any(DeserializationError)]);
      const [name] = await childrenOf(client, '/errors');
      expect((await client.getData(`/errors/${name}`)).data.toString()).toBe('poison');
      await expect.poll(() => childrenOf(client, '/queue')).toEqual([]);
    });
  }

  it('ignores children that are no items, and tells of them once', async () => {
    const client = await newClient();
    const queue = newQueue(client);
    const errors = errorsOf(queue);
    await client.create('/queue/foreign', { parents: true });
    await Promise.all([queue.put('a'), queue.put('b')]);
    expect(await drain(consumerOf(queue), 2)).toEqual(['a', 'b']);
    expect(errors).toEqual([expect.any(UnknownItemError)]);
    expect(errors[0]).toMatchObject({ children: ['foreign'] });
  });

  it('refuses options that make no sense', async () => {
    const client = await newClient();
    expect(() => newQueue(client, { lockPath: '/queue' })).toThrow(/lockPath/);
    expect(() => newQueue(client, { maxItems: 0 })).toThrow(/maxItems/);
    const queue = newQueue(client);
    expect(() => queue.onMessage(() => undefined, { errorMode: 'reject' })).toThrow(/errorPath/);
    expect(() => consumerOf(queue, { prefetch: 0 })).toThrow(/prefetch/);
    await queue.close();
    expect(() => consumerOf(queue)).toThrow(RecipeStateError);
    await expect(queue.put('late')).rejects.toThrow(RecipeStateError);
  });
});

describe('put', () => {
  it('stores an item once, and in order, when the answer was lost', async () => {
    const transport = new LossyTransport();
    const queue = newQueue(await newClient({ transport }));
    await queue.put('first');
    const lost = transport.loseAnswerTo('queue-');
    await Promise.all([queue.put('second'), queue.put('third')]);
    await lost;
    await queue.put('fourth');
    expect(transport.lost).toBe(1);
    expect(await drain(consumerOf(newQueue(await newClient())), 4)).toEqual(['first', 'second', 'third', 'fourth']);
    expect(await childrenOf(await newClient(), '/queue')).toEqual([]);
  });

  it('says that the outcome is unknown when the session ends before the answer, and goes on in the next one', async () => {
    const transport = new LossyTransport();
    const client = await newClient({ transport });
    const queue = newQueue(client);
    await queue.put('first');
    const lost = transport.loseAnswerTo('queue-', { andStayDown: true });
    const putting = queue.put('second');
    putting.catch(() => undefined);
    await lost;
    // Not sent by then: this one is stored, in whatever session.
    const waiting = queue.put('third');
    await server.expireSession(client.sessionId);
    transport.restore();
    await expect(putting).rejects.toThrow(ConnectionLossError);
    await waiting;
    expect(await drain(consumerOf(queue), 3)).toEqual(['first', 'second', 'third']);
  });

  it('refuses one item, and stores those that were put with it', async () => {
    const schemaSet = new SchemaSet([
      { name: 'small', path: /\/queue\/.*/, validate: ({ data = Buffer.alloc(0) }) => data.length < 100 },
    ]);
    const queue = newQueue(await newClient({ schemaSet }));
    const puts = ['a', 'x'.repeat(200), 'b'].map((value) => queue.put(value));
    await expect(queue.flushPuts()).rejects.toThrow(SchemaViolationError);
    expect((await Promise.allSettled(puts)).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    await queue.flushPuts();
    expect(await drain(consumerOf(queue), 2)).toEqual(['a', 'b']);
  });

  it('waits while the queue is full, and stores nothing more than fits', async () => {
    const client = await newClient();
    const queue = newQueue(client, { maxItems: 3 });
    const stored: number[] = [];
    const puts = Array.from({ length: 8 }, (_, index) => queue.put(String(index)).then(() => stored.push(index)));
    await expect.poll(() => stored).toEqual([0, 1, 2]);
    const impatient = queue.put('never', { signal: AbortSignal.timeout(10) });
    await expect(impatient).rejects.toThrow(/timeout/);
    const most = vi.fn();
    await client.addWatch('/queue', async () => most((await client.getChildren('/queue')).length), { recursive: true });
    expect(await drain(consumerOf(newQueue(await newClient())), 8)).toEqual([...'01234567']);
    await Promise.all(puts);
    expect(Math.max(...most.mock.calls.flat())).toBeLessThanOrEqual(3);
  });

  it('settles when the queue is closed, and when the client is', async () => {
    const client = await newClient();
    const queue = newQueue(client, { maxItems: 1 });
    await queue.put('fits');
    const waiting = queue.put('waits');
    waiting.catch(() => undefined);
    await queue.close();
    await expect(waiting).rejects.toThrow(RecipeStateError);

    const other = newQueue(client, { maxItems: 1 });
    const unlucky = other.put('waits');
    unlucky.catch(() => undefined);
    await client.close();
    await expect(unlucky).rejects.toThrow(ClientClosedError);
    await other.close();
  });

  it('is flushed when all of it is stored, or when the signal fires', async () => {
    const client = await newClient();
    const queue = newQueue(client, { maxItems: 2 });
    const settled: string[] = [];
    for (const value of ['a', 'b']) void queue.put(value).then(() => settled.push(value));
    await queue.flushPuts();
    expect(settled).toEqual(['a', 'b']);
    const waiting = queue.put('c');
    await expect(queue.flushPuts({ signal: AbortSignal.timeout(10) })).rejects.toThrow(/timeout/);
    await drain(consumerOf(queue), 3);
    await waiting;
  });
});

describe('delivery at-least-once', () => {
  it('passes over what somebody else has in hand, and gets it when the session of that one expires', async () => {
    const [a, b] = [await newClient(), await newClient()];
    const queue = newQueue(b);
    await queue.put('job');
    const first = await takeOne(consumerOf(newQueue(a)));
    await queue.put('other');
    const consumer = consumerOf(queue, { prefetch: 2 });
    expect((await takeOne(consumer)).value).toBe('other');
    const waiting = takeOne(consumer);
    await server.expireSession(a.sessionId);
    const second = await waiting;
    expect(second.value).toBe('job');
    expect(second.held?.token).toBeGreaterThan(first.held?.token ?? 0n);
    await expect.poll(() => first.held?.signal.aborted).toBe(true);
    await expect(first.ack()).rejects.toThrow(OwnershipLostError);
  });

  it('acknowledges nothing for a consumer whose session has expired, and who does not know (CURATOR-605)', async () => {
    const transport = new LossyTransport();
    const [a, b] = [await newClient({ transport }), await newClient()];
    await newQueue(b).put('job');
    const first = await takeOne(consumerOf(newQueue(a)));
    transport.deafen();
    await server.expireSession(a.sessionId);
    const second = await takeOne(consumerOf(newQueue(b)));
    expect(first.held?.isHeld()).toBe(true);
    const acknowledging = first.ack();
    transport.hear();
    await expect(acknowledging).rejects.toMatchObject({ code: 'SESSION_FAILED' });
    expect(second.held?.isHeld()).toBe(true);
    expect(await childrenOf(b, '/queue')).toHaveLength(1);
    await second.ack();
    expect(await childrenOf(b, '/queue')).toEqual([]);
  });

  it('acknowledges nothing when somebody has deleted the lock, whether its holder knows that or not (CURATOR-605)', async () => {
    const transport = new LossyTransport();
    const [a, b] = [await newClient({ transport }), await newClient()];
    const queue = newQueue(a);
    await queue.put('job');
    const consumer = consumerOf(queue);
    const knowing = await takeOne(consumer);
    await b.delete('/queue-locks/queue-0000000000');
    await expect.poll(() => knowing.held?.signal.reason).toMatchObject({ reason: 'NODE_DELETED' });
    await expect(knowing.ack()).rejects.toThrow(OwnershipLostError);

    const unknowing = await takeOne(consumer);
    transport.deafen();
    await b.delete('/queue-locks/queue-0000000000');
    expect(unknowing.held?.isHeld()).toBe(true);
    const acknowledging = unknowing.ack();
    transport.hear();
    await expect(acknowledging).rejects.toThrow(OwnershipLostError);
    await consumer.return?.();
    const next = await takeOne(consumerOf(newQueue(b)));
    // What is there now is not theirs to give back.
    await Promise.all([knowing.held?.release(), unknowing.held?.release()]);
    expect(next.held?.isHeld()).toBe(true);
    expect(await childrenOf(b, '/queue-locks')).toHaveLength(1);
  });

  it('rides out a lost connection: what is in hand stays there, and is acknowledged afterwards', async () => {
    const client = await newClient();
    const queue = newQueue(client);
    await queue.put('job');
    const message = await takeOne(consumerOf(queue));
    server.dropConnections();
    await expect.poll(() => message.held?.signal.aborted).toBe(true);
    await message.ack();
    expect(await childrenOf(client, '/queue')).toEqual([]);
    expect(await childrenOf(client, '/queue-locks')).toEqual([]);
  });

  it('delivers an item once when the answer to its lock was lost', async () => {
    const transport = new LossyTransport();
    await newQueue(await newClient()).put('job');
    const client = await newClient({ transport });
    const consumer = consumerOf(newQueue(client), { prefetch: 4 });
    const lost = transport.loseAnswerTo('/queue-locks/queue-');
    expect(await drain(consumer, 1)).toEqual(['job']);
    await lost;
    expect(await childrenOf(client, '/queue')).toEqual([]);
    expect(await childrenOf(client, '/queue-locks')).toEqual([]);
  });

  it('acknowledges an item when the answer to that was lost', async () => {
    const transport = new LossyTransport();
    const client = await newClient({ transport });
    const queue = newQueue(client);
    await queue.put('job');
    const message = await takeOne(consumerOf(queue));
    const lost = transport.loseAnswerTo('/queue-locks/queue-');
    await message.ack();
    await lost;
    expect(await childrenOf(client, '/queue')).toEqual([]);
    expect(message.held?.isHeld()).toBe(false);
  });

  it('holds back when as many are in hand as were asked for', async () => {
    const queue = newQueue(await newClient());
    await Promise.all([...'abcd'].map((value) => queue.put(value)));
    const consumer = consumerOf(queue, { prefetch: 2 });
    const [a] = await take(consumer, 2);
    const third = takeOne(consumer);
    const early = vi.fn();
    third.then(early);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(early).not.toHaveBeenCalled();
    await a?.ack();
    expect((await third).value).toBe('c');
  });

  it('puts a message at the end of the queue when it is requeued, under a name that does not grow (CURATOR-56)', async () => {
    const client = await newClient();
    const queue = newQueue(client);
    await Promise.all([queue.put('a'), queue.put('b')]);
    const consumer = consumerOf(queue);
    for (const expected of ['a', 'b', 'a', 'b']) {
      const message = await takeOne(consumer);
      expect(message.value).toBe(expected);
      await message.requeue();
    }
    expect(await childrenOf(client, '/queue')).toEqual(['queue-0000000004', 'queue-0000000005']);
  });

  it('settles a message once', async () => {
    const queue = newQueue(await newClient());
    await queue.put('a');
    const message = await takeOne(consumerOf(queue));
    await expect(message.reject()).rejects.toThrow(RecipeStateError);
    await message.ack();
    await message.ack();
    await expect(message.requeue()).rejects.toThrow(/settled by ack/);
  });

  it('takes the messages of one znode together, and requeues only what was not acknowledged', async () => {
    const client = await newClient();
    const queue = newQueue(client, { errorPath: '/errors' });
    await queue.putMulti(['a', 'b', 'c', 'd']);
    await queue.putMulti([]);
    const consumer = consumerOf(queue);
    const [a, b, c, d] = await take(consumer, 4);
    await a?.ack();
    await b?.requeue();
    await c?.reject();
    expect(await childrenOf(client, '/queue')).toContain('queue-0000000000');
    await d?.requeue();
    const rest = await take(consumer, 2);
    expect(rest.map(({ value }) => value)).toEqual(['b', 'd']);
    const rejected = new DistributedQueue(client, '/errors', { serializer: string });
    expect(await drain(consumerOf(rejected), 1)).toEqual(['c']);
    expect(await childrenOf(client, '/queue')).toEqual(['queue-0000000002']);
  });

  it('gives back what is not settled when the loop is left', async () => {
    const client = await newClient();
    const queue = newQueue(client);
    await Promise.all([...'abc'].map((value) => queue.put(value)));
    for await (const message of queue.consume({ prefetch: 3 })) {
      expect(message.value).toBe('a');
      break;
    }
    expect(await childrenOf(client, '/queue-locks')).toEqual([]);
    expect(await drain(consumerOf(queue), 3)).toEqual(['a', 'b', 'c']);
  });

  it('lets an ack that is under way come to its end when the loop is left', async () => {
    const client = await newClient();
    const queue = newQueue(client);
    await Promise.all([...'abc'].map((value) => queue.put(value)));
    const acks: Promise<void>[] = [];
    for await (const message of queue.consume({ prefetch: 3 })) {
      acks.push(message.ack());
      if (acks.length === 3) break;
    }
    await Promise.all(acks);
    expect(await childrenOf(client, '/queue')).toEqual([]);
  });

  it('leaves what was handed out with its holder when the signal fires', async () => {
    const client = await newClient();
    const queue = newQueue(client);
    await Promise.all([...'abc'].map((value) => queue.put(value)));
    const stopping = new AbortController();
    const consumer = consumerOf(queue, { prefetch: 3, signal: stopping.signal });
    const message = await takeOne(consumer);
    const reason = new Error('enough');
    stopping.abort(reason);
    await expect(consumer.next()).rejects.toBe(reason);
    expect(await consumer.next()).toEqual({ done: true, value: undefined });
    await expect.poll(() => childrenOf(client, '/queue-locks')).toEqual(['queue-0000000000']);
    await message.ack();
    expect(await childrenOf(client, '/queue')).toEqual(['queue-0000000001', 'queue-0000000002']);
  });

  it('ends with what the servers refuse, and a callback waits until they allow it', async () => {
    const client = await newClient();
    const queue = newQueue(client);
    await queue.put('a');
    await client.create('/queue-locks', { acl: READ_ACL });
    await expect(consumerOf(queue).next()).rejects.toThrow(NoAuthError);
    const errors = errorsOf(queue);
    const seen: string[] = [];
    queue.onMessage((value) => void seen.push(value));
    await expect.poll(() => errors).toEqual([expect.any(NoAuthError)]);
    await client.delete('/queue-locks');
    await expect.poll(() => seen).toEqual(['a']);
    await queue.close();
  });

  it('leaves no watch behind when the queue is closed', async () => {
    const client = await newClient();
    const queue = newQueue(client);
    const consumer = consumerOf(queue);
    await queue.put('a');
    await drain(consumer, 1);
    const next = consumer.next();
    await expect.poll(() => childrenOf(client, '/queue')).toEqual([]);
    await queue.close();
    await next;
    await expect(client.removeWatches('/queue')).rejects.toThrow(NoWatcherError);
  });

  it('ends with the queue, and with the client', async () => {
    const client = await newClient();
    const queue = newQueue(client);
    await queue.put('a');
    const consumer = consumerOf(queue);
    const message = await takeOne(consumer);
    const next = consumer.next();
    await queue.close();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(message.held?.signal.reason).toMatchObject({ reason: 'RELEASED' });
    await expect(message.ack()).rejects.toThrow(OwnershipLostError);
    expect(await childrenOf(client, '/queue-locks')).toEqual([]);

    const other = newQueue(client);
    const waiting = consumerOf(other, { prefetch: 2 });
    await takeOne(waiting);
    const last = waiting.next();
    last.catch(() => undefined);
    await client.close();
    await expect(last).rejects.toThrow(ClientClosedError);
    await other.close();
  });
});

describe('delivery at-most-once', () => {
  it('deletes an item before it is delivered, and stores again what is rejected or requeued', async () => {
    const client = await newClient();
    const queue = newQueue(client, { errorPath: '/errors' });
    await Promise.all([queue.put('a'), queue.put('b')]);
    const consumer = consumerOf(queue, { delivery: 'at-most-once' });
    const a = await takeOne(consumer);
    expect(a.held).toBeUndefined();
    await a.requeue();
    await (await takeOne(consumer)).reject();
    expect((await takeOne(consumer)).value).toBe('a');
    expect(await childrenOf(client, '/queue')).toEqual([]);
    expect(await childrenOf(client, '/errors')).toHaveLength(1);
  });

  it('stores again what was fetched and not handed out', async () => {
    const client = await newClient();
    const queue = newQueue(client);
    await Promise.all([...'abcd'].map((value) => queue.put(value)));
    const consumer = consumerOf(queue, { delivery: 'at-most-once', prefetch: 4 });
    await takeOne(consumer);
    await expect.poll(() => childrenOf(client, '/queue')).toEqual([]);
    await consumer.return?.();
    expect((await drain(consumerOf(queue), 3)).toSorted()).toEqual(['b', 'c', 'd']);
  });

  it('does not deliver what somebody else may have, and tells that', async () => {
    const transport = new LossyTransport();
    const producer = newQueue(await newClient());
    for (const value of ['a', 'b']) await producer.put(value);
    const queue = newQueue(await newClient({ transport }));
    const errors = errorsOf(queue);
    const consumer = consumerOf(queue, { delivery: 'at-most-once' });
    // The request that deletes it is the first with its path and a version that is not that of a read.
    const [name] = await childrenOf(await newClient(), '/queue');
    const lost = transport.loseAnswerTo(`/queue/${name}\0\0\0\0`);
    expect((await takeOne(consumer)).value).toBe('b');
    await lost;
    expect(errors).toEqual([expect.any(ConnectionLossError)]);
    expect(errors[0]).toMatchObject({ path: `/queue/${name}` });
  });
});

describe('onMessage', () => {
  it('calls for one message after the other, and stops when the call under way is over', async () => {
    const client = await newClient();
    const queue = newQueue(client);
    await Promise.all([...'abc'].map((value) => queue.put(value)));
    let finish = () => {};
    const seen: string[] = [];
    const stop = queue.onMessage(
      async (value) => {
        seen.push(value);
        if (value === 'b') await new Promise<void>((resolve) => (finish = resolve));
      },
      { prefetch: 3 },
    );
    await expect.poll(() => seen).toEqual(['a', 'b']);
    const stopped = vi.fn();
    const stopping = stop().then(stopped);
    await expect.poll(() => childrenOf(client, '/queue-locks')).toHaveLength(1);
    expect(stopped).not.toHaveBeenCalled();
    finish();
    await stopping;
    expect(seen).toEqual(['a', 'b']);
    expect(await childrenOf(client, '/queue')).toEqual(['queue-0000000002']);
    expect(await childrenOf(client, '/queue-locks')).toEqual([]);
  });

  it.each([
    ['requeue', ['a', 'b', 'a'], []],
    ['delete', ['a', 'b'], []],
    ['reject', ['a', 'b'], ['queue-0000000000']],
  ] as const)(
    'settles a message whose consumer has thrown, by %s, and tells the error',
    async (errorMode, seen, rejected) => {
      const client = await newClient();
      const queue = newQueue(client, { errorPath: '/errors' });
      const errors = errorsOf(queue);
      await Promise.all([queue.put('a'), queue.put('b')]);
      const got: string[] = [];
      queue.onMessage(
        (value) => {
          got.push(value);
          if (got.length === 1) throw new Error('not today');
        },
        { errorMode },
      );
      await expect.poll(() => got).toEqual(seen);
      await queue.close();
      expect(errors).toEqual([expect.objectContaining({ message: 'not today' })]);
      expect(await childrenOf(client, '/queue')).toEqual([]);
      expect(await childrenOf(client, '/errors').catch(() => [])).toEqual(rejected);
    },
  );
});

describe('DistributedPriorityQueue', () => {
  const newPriorityQueue = async (minItemsBeforeRefresh?: number) =>
    new DistributedPriorityQueue(await newClient(), '/queue', { serializer: string, minItemsBeforeRefresh });

  it('gives lower numbers first, also after a requeue', async () => {
    const queue = await newPriorityQueue(1);
    for (const [value, priority] of [
      ['low', 9],
      ['negative', -3],
      ['first', 0],
      ['second', 0],
    ] as const) {
      await queue.put(value, priority);
    }
    await expect(queue.put('none', 1.5)).rejects.toThrow(/priority/);
    const consumer = consumerOf(queue);
    expect(await drain(consumer, 1)).toEqual(['negative']);
    await (await takeOne(consumer)).requeue();
    expect(await drain(consumer, 3)).toEqual(['second', 'first', 'low']);
  });

  it('looks for more urgent ones after so many items', async () => {
    const queue = await newPriorityQueue(2);
    for (const value of ['1', '2', '3', '4']) await queue.put(value, 5);
    const consumer = consumerOf(queue);
    const first = await takeOne(consumer);
    await queue.put('urgent', 1);
    await first.ack();
    expect(await drain(consumer, 4)).toEqual(['2', 'urgent', '3', '4']);
  });
});

describe('items that are fetched ahead', () => {
  const locksOf = async (client: CuratorFramework) => (await client.getChildren('/queue-locks')).length;

  it('are fetched together, when half of those before have been handed out', async () => {
    const client = await newClient();
    const queue = newQueue(client);
    await Promise.all(Array.from({ length: 12 }, (_, index) => queue.put(`${index}`)));
    const consumer = consumerOf(queue, { prefetch: 8 });
    const first = await takeOne(consumer);
    await expect.poll(() => locksOf(client)).toBe(8);
    await first.ack();
    for (const left of [7, 6, 5]) {
      expect(await locksOf(client)).toBe(left);
      await (await takeOne(consumer)).ack();
    }
    // Four were left when the fourth was handed out: three were fetched.
    await expect.poll(() => locksOf(client)).toBe(7);
    expect(await drain(consumer, 8)).toEqual(['4', '5', '6', '7', '8', '9', '10', '11']);
  });

  it('are fetched at once where all are handed out, however many of them are not settled', async () => {
    const queue = newQueue(await newClient());
    await Promise.all(Array.from({ length: 6 }, (_, index) => queue.put(`${index}`)));
    const consumer = consumerOf(queue, { prefetch: 4 });
    const [first] = await take(consumer, 4);
    await first?.ack();
    expect((await takeOne(consumer)).value).toBe('4');
  });

  it('callbacks go on while messages are acknowledged; stopping waits for all of them', async () => {
    const client = await newClient();
    const queue = newQueue(client);
    await Promise.all(Array.from({ length: 50 }, (_, index) => queue.put(`${index}`)));
    const handled: string[] = [];
    const stop = queue.onMessage((value) => void handled.push(value), { prefetch: 10 });
    await expect.poll(() => handled.length).toBe(50);
    await stop();
    expect(handled).toEqual(Array.from({ length: 50 }, (_, index) => `${index}`));
    expect(await client.getChildren('/queue')).toEqual([]);
    expect(await client.getChildren('/queue-locks')).toEqual([]);
  });
});

describe('DistributedDelayQueue', () => {
  it('gives nothing before it is due, and what is due first comes first, also if it was put later', async () => {
    let now = 1_000;
    const client = await newClient({ clock: { ...systemPorts().clock, wallTime: () => now } });
    const queue = new DistributedDelayQueue(client, '/queue', { serializer: string });
    await queue.put('tie 1', 5_000);
    await queue.put('tie 2', new Date(5_000));
    await queue.put('late', 9_000);
    const consumer = consumerOf(queue);
    const next = drain(consumer, 1);
    const early = vi.fn();
    next.then(early);
    await queue.put('early', 2_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(early).not.toHaveBeenCalled();
    now = 6_000;
    // Whatever makes it look again: its own timer counts real time.
    await queue.put('last', 10_000);
    expect(await next).toEqual(['early']);
    expect(await drain(consumer, 2)).toEqual(['tie 1', 'tie 2']);
    now = 20_000;
    await queue.put('over', 30_000);
    expect(await drain(consumer, 2)).toEqual(['late', 'last']);
  });

  it('wakes up by itself when something is due, and a requeue keeps the time', async () => {
    const queue = new DistributedDelayQueue(await newClient(), '/queue', { serializer: string });
    await queue.put('soon', Date.now() + 30);
    const consumer = consumerOf(queue);
    const message = await takeOne(consumer);
    const path = message.path;
    await message.requeue();
    const again = await takeOne(consumer);
    expect(again.path.slice(0, -10)).toBe(path.slice(0, -10));
    await expect(queue.put('never', Number.NaN)).rejects.toThrow(/dueAt/);
  });
});

describe('DistributedIdQueue', () => {
  it('removes the items of an id that nobody has in hand, and counts them', async () => {
    const client = await newClient();
    const queue = new DistributedIdQueue(client, '/queue', { serializer: string });
    for (const [value, id] of [
      ['1', 'a'],
      ['2', 'b/c'],
      ['3', 'a'],
      ['4', 'b|c'],
    ] as const)
      await queue.put(value, id);
    expect(await childrenOf(client, '/queue')).toContain('queue-|b_c|0000000001');
    const consumer = consumerOf(queue);
    const first = await takeOne(consumer);
    expect(await queue.remove('a')).toBe(1);
    expect(await queue.remove('b/c')).toBe(2);
    expect(await queue.remove('a')).toBe(0);
    expect(first.held?.isHeld()).toBe(true);
    await first.requeue();
    expect(await childrenOf(client, '/queue')).toEqual(['queue-|a|0000000004']);
    expect(await childrenOf(client, '/queue-producers')).toHaveLength(1);
  });

  it('gives items in the order in which they were put, under their ids also after a requeue (CURATOR-224)', async () => {
    const client = await newClient();
    const queue = new DistributedIdQueue(client, '/queue', { serializer: string });
    for (const [value, id] of [
      ['1', 'z'],
      ['2', 'a'],
      ['3', 'm'],
    ] as const)
      await queue.put(value, id);
    const consumer = consumerOf(queue);
    await (await takeOne(consumer)).requeue();
    expect(await childrenOf(client, '/queue')).toEqual([
      'queue-|a|0000000001',
      'queue-|m|0000000002',
      'queue-|z|0000000003',
    ]);
    expect(await drain(consumer, 3)).toEqual(['2', '3', '1']);
  });
});

describe('SimpleDistributedQueue', () => {
  const newSimple = async (client?: CuratorFramework) =>
    new SimpleDistributedQueue(client ?? (await newClient()), '/simple');
  const text = (data: Uint8Array | undefined) => data?.toString();

  it('gives each item to one taker, in order', async () => {
    const [a, b] = [await newSimple(), await newSimple()];
    expect(await a.poll()).toBeUndefined();
    expect(await a.peek()).toBeUndefined();
    await Promise.all([...'123456'].map((value) => a.offer(Buffer.from(value))));
    expect(text(await b.peek())).toBe('1');
    const taken = await Promise.all([a.take(), b.take(), a.poll(), b.poll(), a.take(), b.take()]);
    expect(taken.map(text).sort()).toEqual([...'123456']);
    expect(await b.poll({ timeoutMs: 10 })).toBeUndefined();
  });

  it('waits for an item, also when the container was deleted (CURATOR-308)', async () => {
    const client = await newClient();
    const queue = await newSimple(client);
    const taking = queue.take();
    await expect.poll(() => client.checkExists('/simple')).toBeDefined();
    await client.delete('/simple');
    await (await newSimple()).offer(Buffer.from('item'));
    expect(text(await taking)).toBe('item');
  });

  it('hands out an item once when the answer to its deletion was lost', async () => {
    const transport = new LossyTransport();
    const queue = await newSimple(await newClient({ transport }));
    await queue.offer(Buffer.from('1'));
    await queue.offer(Buffer.from('2'));
    await queue.offer(Buffer.from('3'));
    expect(text(await queue.take())).toBe('1');
    const lost = transport.loseAnswerTo('/simple-producers/');
    expect(text(await queue.take())).toBe('2');
    await lost;
    expect(text(await queue.take())).toBe('3');
  });

  it('settles those who wait when the time is up, the signal fires, the queue is closed, or the client is', async () => {
    const client = await newClient();
    const queue = await newSimple(client);
    await expect(queue.take({ timeoutMs: 10 })).rejects.toMatchObject({ code: 'ACQUIRE_TIMEOUT' });
    await expect(queue.take({ signal: AbortSignal.timeout(10) })).rejects.toThrow(/timeout/);
    const waiting = queue.take();
    waiting.catch(() => undefined);
    await queue.close();
    await expect(waiting).rejects.toThrow(RecipeStateError);
    const other = await newSimple(client);
    const last = other.take();
    last.catch(() => undefined);
    await client.close();
    await expect(last).rejects.toThrow(ClientClosedError);
  });
});

describe('under faults', () => {
  for (const delivery of ['at-least-once', 'at-most-once'] as const) {
    it(`loses and repeats no more than ${delivery} says, over lost connections and sessions`, async () => {
      const all = Array.from({ length: 120 }, (_, index) => index);
      const seen: number[] = [];
      const queues = await Promise.all(
        [1, 3, 8].map(async (prefetch) => {
          const client = await newClient();
          const queue = new DistributedQueue(client, '/queue', { serializer: json<number>() });
          // What becomes uncertain is told here: the faults see to that.
          queue.on('error', () => undefined);
          const consume = async (value: number) => {
            seen.push(value);
            await new Promise((resolve) => setTimeout(resolve, 1));
          };
          queue.onMessage(consume, { delivery, prefetch });
          return { client, queue };
        }),
      );
      const producer = new DistributedQueue(await newClient(), '/queue', { serializer: json<number>() });
      const stored = new Set<number>();
      const putting = (async () => {
        for (const value of all) {
          await producer.put(value).then(
            () => stored.add(value),
            () => undefined,
          );
          if (value % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })();
      for (const { client } of queues) {
        await new Promise((resolve) => setTimeout(resolve, 60));
        server.dropConnections();
        await new Promise((resolve) => setTimeout(resolve, 60));
        await server.expireSession(client.sessionId);
      }
      await putting;
      const watcher = await newClient();
      await expect.poll(() => watcher.getChildren('/queue')).toEqual([]);
      await Promise.all([producer, ...queues.map(({ queue }) => queue)].map((queue) => queue.close()));
      if (delivery === 'at-least-once') expect([...stored].filter((value) => !seen.includes(value))).toEqual([]);
      else expect(seen.length).toBe(new Set(seen).size);
      expect(await watcher.getChildren('/queue')).toEqual([]);
      expect(await watcher.getChildren('/queue-locks').catch(() => [])).toEqual([]);
    });
  }
});
