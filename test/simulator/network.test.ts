import { describe, expect, it } from 'vitest';
import type { Connection } from 'zookeeper-client-ts';
import type { Address, Closeable, Stream } from 'zookeeper-server-ts';
import type { NetworkOptions } from './network.ts';
import type { Process } from './process.ts';
import type { Chop } from './stream-end.ts';
import { World } from './world.ts';

/** Both ends of a connection to s1:2181 and all that they were told. */
interface Ends {
  readonly world: World;
  readonly s1: Process;
  readonly c1: Process;
  readonly server: { streams: Stream[]; chunks: Buffer[]; events: string[] };
  readonly client: { connection: Connection; chunks: Buffer[]; events: string[] };
}

const textOf = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString('latin1');

const describeClose = (error: Error | undefined): string => `close ${error?.message.split(':')[0] ?? 'orderly'}`;

const listen = (process: Process, address: Address, server: Ends['server']): Closeable =>
  process.network.listen(address, {
    onListening: (bound) => server.events.push(`listening ${bound.port}`),
    onFailure: (error) => server.events.push(`failure ${error.message.split(':')[0]}`),
    onStream: (stream) => {
      server.streams.push(stream);
      server.events.push('stream');
      return {
        onBytes: (bytes) => server.chunks.push(Buffer.from(bytes)),
        onDrain: () => server.events.push('drain'),
        onClose: (error) => server.events.push(describeClose(error)),
      };
    },
  });

const dial = (process: Process, to: Address): Ends['client'] => {
  const chunks: Buffer[] = [];
  const events: string[] = [];
  const connection = process.network.connect(to, {
    onOpen: () => events.push('open'),
    onBytes: (bytes) => chunks.push(Buffer.from(bytes)),
    onClose: (error) => events.push(describeClose(error)),
  });
  return { connection, chunks, events };
};

const connected = async (network: Partial<NetworkOptions> = {}, seed = 1): Promise<Ends> => {
  const world = new World({ seed, network });
  const s1 = world.spawn('s1');
  const c1 = world.spawn('c1');
  const server: Ends['server'] = { streams: [], chunks: [], events: [] };
  listen(s1, { host: '0.0.0.0', port: 2181 }, server);
  await world.runFor(1);
  const client = dial(c1, { host: 's1', port: 2181 });
  await world.runFor(50);
  expect(client.events).toEqual(['open']);
  expect(server.events).toEqual(['listening 2181', 'stream']);
  server.events.length = 0;
  client.events.length = 0;
  return { world, s1, c1, server, client };
};

const streamOf = (ends: Ends): Stream => {
  const stream = ends.server.streams[0];
  if (stream === undefined) throw new Error('nobody connected');
  return stream;
};

describe('connecting', () => {
  it('does not call back before listen or connect have returned', async () => {
    const world = new World({ seed: 1 });
    const server: Ends['server'] = { streams: [], chunks: [], events: [] };
    listen(world.spawn('s1'), { host: '0.0.0.0', port: 2181 }, server);
    const client = dial(world.spawn('c1'), { host: 'nowhere', port: 1 });
    expect([...server.events, ...client.events]).toEqual([]);
    await world.runFor(10);
    expect([...server.events, ...client.events]).toEqual(['listening 2181', 'close ENOTFOUND']);
  });

  it('is refused where nobody listens, after a listener closed, and while the machine refuses', async () => {
    const world = new World({ seed: 1 });
    const s1 = world.spawn('s1');
    const c1 = world.spawn('c1');
    const server: Ends['server'] = { streams: [], chunks: [], events: [] };
    const nobody = dial(c1, { host: 's1', port: 2181 });
    await world.runFor(10);
    const listener = listen(s1, { host: '0.0.0.0', port: 2181 }, server);
    world.network.setRefusing('s1', true);
    const refused = dial(c1, { host: 's1', port: 2181 });
    await world.runFor(10);
    world.network.setRefusing('s1', false);
    listener.close();
    listener.close();
    const closed = dial(c1, { host: 's1', port: 2181 });
    await world.runFor(10);
    for (const attempt of [nobody, refused, closed]) expect(attempt.events).toEqual(['close ECONNREFUSED']);
  });

  it('refuses to listen on a port in use, and on an address of another machine', async () => {
    const world = new World({ seed: 1 });
    const s1 = world.spawn('s1');
    const server: Ends['server'] = { streams: [], chunks: [], events: [] };
    listen(s1, { host: '127.0.0.1', port: 2181 }, server);
    listen(s1, { host: 's1', port: 2181 }, server);
    listen(s1, { host: '10.9.9.9', port: 2182 }, server);
    listen(s1, { host: '0.0.0.0', port: 0 }, server);
    await world.runFor(1);
    expect(server.events.filter((event) => event.startsWith('failure')).sort()).toEqual([
      'failure EADDRINUSE',
      'failure EADDRNOTAVAIL',
    ]);
    expect(server.events).toContain('listening 2181');
    expect(server.events.filter((event) => event.startsWith('listening'))).toHaveLength(2);
  });

  it('finds the machine that the name table gives at that moment', async () => {
    const world = new World({ seed: 1 });
    const [s1, s2, c1] = [world.spawn('s1'), world.spawn('s2'), world.spawn('c1')];
    const at1: Ends['server'] = { streams: [], chunks: [], events: [] };
    const at2: Ends['server'] = { streams: [], chunks: [], events: [] };
    listen(s1, { host: '0.0.0.0', port: 2181 }, at1);
    listen(s2, { host: '0.0.0.0', port: 2181 }, at2);
    world.network.setName('zk', 's1');
    dial(c1, { host: 'zk', port: 2181 });
    await world.runFor(20);
    world.network.setName('zk', 's2');
    dial(c1, { host: 'zk', port: 2181 });
    await world.runFor(20);
    world.network.setName('zk', undefined);
    const gone = dial(c1, { host: 'zk', port: 2181 });
    await world.runFor(20);
    expect([at1.streams.length, at2.streams.length]).toEqual([1, 1]);
    expect(gone.events).toEqual(['close ENOTFOUND']);
  });

  it('waits while the way is blocked, and opens after the heal', async () => {
    const world = new World({ seed: 1 });
    const server: Ends['server'] = { streams: [], chunks: [], events: [] };
    listen(world.spawn('s1'), { host: '0.0.0.0', port: 2181 }, server);
    const c1 = world.spawn('c1');
    world.network.block('s1', 'c1');
    const client = dial(c1, { host: 's1', port: 2181 });
    await world.runFor(5000);
    expect(client.events).toEqual([]);
    expect(server.streams).toHaveLength(1); // the answer is what got lost
    world.network.heal();
    await world.runFor(20);
    expect(client.events).toEqual(['open']);
  });

  it('gives up after two minutes of silence', async () => {
    const world = new World({ seed: 1 });
    world.spawn('s1');
    const c1 = world.spawn('c1');
    world.network.block('c1', 's1');
    const client = dial(c1, { host: 's1', port: 2181 });
    await world.runFor(126_000);
    expect(client.events).toEqual([]);
    await world.runFor(2000);
    expect(client.events).toEqual(['close ETIMEDOUT']);
  });

  it('fails when the connection was reset before its answer came', async () => {
    const world = new World({ seed: 1 });
    const server: Ends['server'] = { streams: [], chunks: [], events: [] };
    listen(world.spawn('s1'), { host: '0.0.0.0', port: 2181 }, server);
    await world.runFor(1);
    world.network.block('s1', 'c1'); // the answer waits
    const client = dial(world.spawn('c1'), { host: 's1', port: 2181 });
    await world.runFor(50);
    expect(server.events).toContain('stream');
    world.network.resetConnections('s1');
    await world.runFor(50);
    expect(client.events).toEqual([]);
    world.network.heal();
    await world.runFor(50);
    expect(client.events).toEqual(['close ECONNRESET']);
  });

  it('calls no handler after the client closed, and the server sees the end', async () => {
    const world = new World({ seed: 1 });
    const server: Ends['server'] = { streams: [], chunks: [], events: [] };
    listen(world.spawn('s1'), { host: '0.0.0.0', port: 2181 }, server);
    const client = dial(world.spawn('c1'), { host: 's1', port: 2181 });
    await world.runUntil(() => server.streams.length > 0);
    client.connection.close();
    client.connection.close();
    await world.runFor(100);
    expect(client.events).toEqual([]);
    expect(server.events.at(-1)).toBe('close ECONNRESET');
  });
});

describe('closing before the connection is open', () => {
  it('still sends what was written', async () => {
    const world = new World({ seed: 1 });
    const server: Ends['server'] = { streams: [], chunks: [], events: [] };
    listen(world.spawn('s1'), { host: '0.0.0.0', port: 2181 }, server);
    const client = dial(world.spawn('c1'), { host: 's1', port: 2181 });
    client.connection.write(Buffer.from('farewell'));
    client.connection.close();
    await world.runFor(100);
    expect(textOf(server.chunks)).toBe('farewell');
    expect(server.events.at(-1)).toBe('close orderly');
    expect(client.events).toEqual([]);
  });
});

describe('a stream', () => {
  it.each<Chop>(['whole', 'drip', 'cut', 'merge'])(
    'carries bytes in order in both directions, chopped: %s',
    async (chop) => {
      const ends = await connected({ chop, delayMs: [0.1, 30] });
      const requests = Array.from({ length: 50 }, (_, i) => `request ${i} ${'x'.repeat(i * 7)};`);
      for (const request of requests) {
        ends.client.connection.write(Buffer.from(request));
        streamOf(ends).write(Buffer.from(request.toUpperCase()));
        await ends.world.runFor(1);
      }
      await ends.world.runFor(1000);
      expect(textOf(ends.server.chunks)).toBe(requests.join(''));
      expect(textOf(ends.client.chunks)).toBe(requests.join('').toUpperCase());
      const pieces = ends.server.chunks.length;
      if (chop === 'whole') expect(pieces).toBe(50);
      if (chop === 'merge') expect(pieces).toBeLessThan(50);
      if (chop === 'cut') expect(pieces).toBeGreaterThan(100);
      if (chop === 'drip') expect(ends.server.chunks.slice(0, 10).every(({ length }) => length === 1)).toBe(true);
    },
  );

  it('gives the reader bytes of its own', async () => {
    const ends = await connected({ chop: 'whole' });
    const sent = Buffer.from('shared');
    ends.client.connection.write(sent);
    await ends.world.runFor(10);
    ends.server.chunks[0]?.fill(0);
    expect(sent.toString()).toBe('shared');
  });

  it('holds back what the reader has not taken, and tells when all has left', async () => {
    const ends = await connected({ windowBytes: 1000, chop: 'whole' });
    const stream = streamOf(ends);
    stream.pause();
    ends.client.connection.write(Buffer.alloc(1500, 'c'));
    await ends.world.runFor(100);
    expect(ends.server.chunks).toEqual([]);

    stream.write(Buffer.alloc(2500, 's'));
    expect(stream.queuedBytes).toBe(1500);
    await ends.world.runFor(100);
    expect(stream.queuedBytes).toBe(0);
    expect(ends.server.events).toEqual(['drain']);
    expect(textOf(ends.client.chunks)).toHaveLength(2500);

    stream.resume();
    await ends.world.runFor(100);
    expect(textOf(ends.server.chunks)).toHaveLength(1500);
  });

  it('stalls the open direction too when the way back is blocked, once the window is full', async () => {
    const ends = await connected({ windowBytes: 1000, chop: 'whole' });
    ends.world.network.block('c1', 's1');
    const stream = streamOf(ends);
    stream.write(Buffer.alloc(800, 'a'));
    await ends.world.runFor(1000);
    stream.write(Buffer.alloc(800, 'b'));
    await ends.world.runFor(1000);
    expect(textOf(ends.client.chunks)).toHaveLength(1000);
    expect(stream.queuedBytes).toBe(600);
    ends.server.events.length = 0;
    ends.world.network.unblock('c1', 's1');
    await ends.world.runFor(1000);
    expect(textOf(ends.client.chunks)).toHaveLength(1600);
    expect(ends.server.events).toEqual(['drain']);
  });

  it('delivers after the heal what was sent, or under way, while its direction was blocked', async () => {
    const ends = await connected({ delayMs: [5, 5], chop: 'whole' });
    ends.client.connection.write(Buffer.from('under way,'));
    await ends.world.runFor(1);
    ends.world.network.block('c1', 's1');
    ends.client.connection.write(Buffer.from('sent'));
    streamOf(ends).write(Buffer.from('other way'));
    await ends.world.runFor(60_000);
    expect(textOf(ends.server.chunks)).toBe('');
    expect(textOf(ends.client.chunks)).toBe('other way');
    ends.world.network.heal();
    await ends.world.runFor(20);
    expect(textOf(ends.server.chunks)).toBe('under way,sent');
  });

  it('ends with ETIMEDOUT when its bytes are not acknowledged for fifteen minutes', async () => {
    const ends = await connected();
    ends.world.network.partition(['c1'], ['s1']);
    ends.client.connection.write(Buffer.from('x'));
    await ends.world.runFor(920_000);
    expect(ends.client.events).toEqual([]);
    await ends.world.runFor(10_000);
    expect(ends.client.events).toEqual(['close ETIMEDOUT']);
    expect(ends.server.events).toEqual([]); // half-open: it sent nothing and knows nothing
  });

  it('sends everything before an orderly end, and tells both sides once', async () => {
    const ends = await connected({ windowBytes: 100, chop: 'cut' });
    const stream = streamOf(ends);
    stream.write(Buffer.alloc(1000, 'z'));
    stream.close();
    stream.close();
    stream.write(Buffer.from('ignored'));
    await ends.world.runFor(1000);
    expect(textOf(ends.client.chunks)).toBe('z'.repeat(1000));
    expect(ends.client.events).toEqual(['close orderly']);
    expect(ends.server.events.filter((event) => event !== 'drain')).toEqual(['close orderly']);
  });

  it('drops what has not left the process when it is destroyed', async () => {
    const ends = await connected({ windowBytes: 100, chop: 'whole' });
    const stream = streamOf(ends);
    stream.write(Buffer.alloc(1000, 'z'));
    stream.destroy();
    await ends.world.runFor(1000);
    expect(textOf(ends.client.chunks)).toHaveLength(100);
    expect(ends.client.events).toEqual(['close orderly']);
    expect(ends.server.events).toEqual(['close orderly']);
  });

  it('is cut at any byte by a reset, and both sides hear of it', async () => {
    const lengths = new Set<number>();
    for (let seed = 1; seed <= 20; seed++) {
      const ends = await connected({ delayMs: [5, 5], chop: 'whole' }, seed);
      ends.client.connection.write(Buffer.alloc(100));
      await ends.world.runFor(1);
      ends.world.network.resetConnections('s1');
      await ends.world.runFor(20);
      expect(ends.client.events).toEqual(['close ECONNRESET']);
      expect(ends.server.events).toEqual(['close ECONNRESET']);
      lengths.add(textOf(ends.server.chunks).length);
    }
    expect(lengths.size).toBeGreaterThan(5);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(100);
  });

  it('is paused without losing the end of the stream', async () => {
    const ends = await connected();
    const stream = streamOf(ends);
    stream.pause();
    ends.client.connection.write(Buffer.from('last words'));
    ends.client.connection.close();
    await ends.world.runFor(100);
    expect(ends.server.events).toEqual([]);
    stream.resume();
    await ends.world.runFor(100);
    expect(textOf(ends.server.chunks)).toBe('last words');
    expect(ends.server.events).toEqual(['close orderly']);
  });
});

describe('the end of a process', () => {
  it('is seen by its peers when it is killed, as an end or as a reset', async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 10; seed++) {
      const ends = await connected({}, seed);
      ends.world.kill(ends.s1);
      await ends.world.runFor(20);
      seen.add(ends.client.events.join());
      expect(ends.server.events).toEqual([]);
    }
    expect([...seen].sort()).toEqual(['close ECONNRESET', 'close orderly']);
  });

  it('frees its ports: a new process on the machine listens again', async () => {
    const ends = await connected();
    ends.world.kill(ends.s1);
    const refused = dial(ends.c1, { host: 's1', port: 2181 });
    await ends.world.runFor(20);
    expect(refused.events).toEqual(['close ECONNREFUSED']);
    const again: Ends['server'] = { streams: [], chunks: [], events: [] };
    listen(ends.world.spawn('s1'), { host: '0.0.0.0', port: 2181 }, again);
    await ends.world.runFor(1);
    const client = dial(ends.c1, { host: 's1', port: 2181 });
    await ends.world.runFor(20);
    expect(client.events).toEqual(['open']);
  });

  it('is not seen after a power loss, until the machine is back and answers with a reset', async () => {
    const ends = await connected();
    ends.world.powerLoss(ends.s1);
    ends.client.connection.write(Buffer.from('anybody there?'));
    const attempt = dial(ends.c1, { host: 's1', port: 2181 });
    await ends.world.runFor(60_000);
    expect(ends.client.events).toEqual([]);
    expect(attempt.events).toEqual([]);
    ends.world.spawn('s1');
    await ends.world.runFor(11_000);
    expect(ends.client.events).toEqual(['close ECONNRESET']);
    expect(attempt.events).toEqual(['close ECONNREFUSED']);
  });

  it('leaves a peer that says nothing half-open, and resets it at its next word', async () => {
    const ends = await connected();
    ends.world.powerLoss(ends.s1);
    ends.world.spawn('s1');
    await ends.world.runFor(3_600_000);
    expect(ends.client.events).toEqual([]);
    ends.client.connection.write(Buffer.from('hello again'));
    await ends.world.runFor(20);
    expect(ends.client.events).toEqual(['close ECONNRESET']);
  });

  it('is lost on one side only, and the other finds out when it sends', async () => {
    const ends = await connected({ chop: 'whole' });
    ends.world.network.halfClose('s1');
    await ends.world.runFor(1000);
    expect(ends.server.events).toEqual(['close ECONNRESET']);
    expect(ends.client.events).toEqual([]);
    ends.client.connection.write(Buffer.from('a'));
    await ends.world.runFor(1000);
    expect(ends.client.events).toEqual(['close ECONNRESET']);
  });

  it('is no end when it is only frozen: its kernel accepts, and takes bytes up to the window', async () => {
    const ends = await connected({ windowBytes: 1000, chop: 'whole' });
    ends.world.freeze(ends.s1);
    const newcomer = dial(ends.c1, { host: 's1', port: 2181 });
    ends.client.connection.write(Buffer.alloc(600, 'a'));
    ends.client.connection.write(Buffer.alloc(600, 'b'));
    await ends.world.runFor(1000);
    expect(newcomer.events).toEqual(['open']);
    expect([...ends.server.chunks, ...ends.server.events]).toEqual([]);
    ends.world.thaw(ends.s1);
    await ends.world.runFor(100);
    expect(textOf(ends.server.chunks)).toBe('a'.repeat(600) + 'b'.repeat(600));
    expect(ends.server.events).toEqual(['stream']);
  });
});
