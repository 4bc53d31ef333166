/** What the server does at each of its limits: who is stopped, who goes on, and what it keeps in memory meanwhile. */
import { describe, expect, it } from 'vitest';
import { ErrorCode, OPEN_ACL, operations, type ReplyHeader, toZxid } from 'zookeeper-protocol-ts';
import { CONNECTION_THROTTLE_DEFAULTS } from '../../server/src/session/connection-throttle.ts';
import { WATCHED_PATH_BYTES } from '../../server/src/watch/watch-table.ts';
import { type MemoryClient, MemoryMachine } from './memory-machine.ts';

const MIB = 1024 * 1024;

const create = (client: MemoryClient, path: string, dataBytes = 0): void =>
  client.ask(operations.create, { path, data: Buffer.alloc(dataBytes), acl: OPEN_ACL, flags: 0 });

const set = (client: MemoryClient, path: string, dataBytes: number, options?: { times: number }): void =>
  client.ask(operations.setData, { path, data: Buffer.alloc(dataBytes), version: -1 }, options);

const get = (client: MemoryClient, path: string, options?: { times: number }): void =>
  client.ask(operations.getData, { path, watch: false }, options);

const codes = (replies: readonly ReplyHeader[]): number[] => replies.map(({ err }) => err);

const xids = (replies: readonly ReplyHeader[]): number[] => replies.map(({ xid }) => xid);

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

describe('maxClientCnxns and maxCnxns', () => {
  it('close what comes over the limit of one address, and let in others', () => {
    const machine = new MemoryMachine({ maxClientCnxns: 2 });
    const first = [machine.join(), machine.join()];
    expect(machine.connect().isClosed).toBe(true);
    expect(machine.join({ host: '10.0.0.2' }).session?.sessionId).not.toBe(0n);
    first[0]?.stream.end();
    machine.run();
    expect(machine.join().isClosed).toBe(false);
  });

  it('close what comes over the limit of all addresses together', () => {
    const machine = new MemoryMachine({ maxCnxns: 3 });
    for (let i = 0; i < 3; i++) expect(machine.connect({ host: `10.0.0.${i}` }).isClosed).toBe(false);
    expect(machine.connect({ host: '10.0.0.9' }).isClosed).toBe(true);
    expect(machine.lines.at(-1)).toContain('(maxCnxns)');
  });

  it('take one line of the run log in a second, however many are refused', () => {
    const machine = new MemoryMachine({ maxCnxns: 1 });
    machine.connect();
    for (let i = 0; i < 500; i++) machine.connect();
    expect(machine.lines.filter((line) => line.includes('maxCnxns'))).toHaveLength(1);
    machine.advance(1000);
    machine.connect();
    expect(machine.lines.at(-1)).toMatch(/\(maxCnxns\); 499 others before it$/);
  });
});

describe('globalOutstandingLimit', () => {
  it('stops reading connections that wait for an answer, and goes on with them when there is less to do', () => {
    const machine = new MemoryMachine({ globalOutstandingLimit: 10 });
    const busy = machine.join();
    const other = machine.join();
    machine.holdDisk();
    create(busy, '/a');
    for (let i = 0; i < 99; i++) set(busy, '/a', 1);
    machine.run();
    expect(busy.stream.isPaused).toBe(true);
    // Everybody may have one request in process.
    get(other, '/');
    get(other, '/');
    machine.run();
    expect(codes(other.replies)).toEqual([ErrorCode.OK, ErrorCode.OK]);
    machine.releaseDisk();
    machine.run();
    expect(xids(busy.replies)).toEqual(upTo(100));
    expect(busy.stream.isPaused).toBe(false);
  });

  it('holds for requests that come in one piece as well, and answers them all, in order', () => {
    const machine = new MemoryMachine({ globalOutstandingLimit: 10 });
    const client = machine.join();
    create(client, '/a');
    set(client, '/a', 1, { times: 5000 });
    get(client, '/a', { times: 5000 });
    machine.run();
    expect(xids(client.replies)).toEqual(upTo(10_001));
  });

  it('lets each connection have one request in process', () => {
    const machine = new MemoryMachine({ globalOutstandingLimit: 1 });
    const clients = upTo(5).map(() => machine.join());
    machine.holdDisk();
    for (const [i, client] of clients.entries()) {
      create(client, `/n${i}`);
      create(client, `/m${i}`);
    }
    machine.run();
    machine.releaseDisk();
    machine.run();
    expect(clients.flatMap(({ replies }) => codes(replies))).toEqual(Array(10).fill(ErrorCode.OK));
  });
});

describe('the log', () => {
  it('holds a bounded number of bytes that are not durable: what would add to them is not read', () => {
    const machine = new MemoryMachine({ logQueuedBytesMax: 4 * MIB });
    const writer = machine.join();
    create(writer, '/a');
    machine.run();
    machine.holdDisk();
    for (let i = 0; i < 64; i++) set(writer, '/a', 512 * 1024);
    machine.run();
    expect(writer.stream.unreadBytes).toBeGreaterThan(54 * 512 * 1024);
    machine.releaseDisk();
    machine.run();
    expect(writer.replies).toHaveLength(65);
    expect(writer.stream.unreadBytes).toBe(0);
  });
});

describe('a client that does not read', () => {
  const machineWithBigZnode = (config = {}): { machine: MemoryMachine; neighbour: MemoryClient } => {
    const machine = new MemoryMachine(config);
    const neighbour = machine.join();
    create(neighbour, '/big', 1_000_000);
    machine.run();
    return { machine, neighbour };
  };

  it('is not read from beyond 4 MiB, though it has asked for 1000 MB in one piece, and gets all of it when it reads', () => {
    const { machine, neighbour } = machineWithBigZnode();
    const slow = machine.join();
    slow.stream.setReading(false);
    get(slow, '/big', { times: 900 });
    get(slow, '/big', { times: 100 });
    machine.run();
    expect(slow.stream.queuedBytes).toBeGreaterThan(4 * MIB);
    expect(slow.stream.queuedBytes).toBeLessThan(6 * MIB);
    expect(slow.stream.isPaused).toBe(true);
    get(neighbour, '/big');
    machine.run();
    expect(neighbour.replies).toHaveLength(2);
    slow.stream.setReading(true);
    machine.run();
    expect(xids(slow.replies)).toEqual(upTo(1000));
    expect(machine.server.connectionMemory.held.outbound).toBe(0);
  });

  it('gets its writes and reads answered in order when it reads again', () => {
    const { machine } = machineWithBigZnode();
    const slow = machine.join();
    slow.stream.setReading(false);
    for (let i = 0; i < 30; i++) {
      get(slow, '/big');
      set(slow, '/big', 1_000_000);
    }
    machine.run();
    slow.stream.setReading(true);
    machine.run();
    expect(xids(slow.replies)).toEqual(upTo(60));
  });

  it('is cut off when reads that waited behind a write would take more than 64 MiB', () => {
    const { machine, neighbour } = machineWithBigZnode();
    const slow = machine.join();
    slow.stream.setReading(false);
    set(slow, '/big', 1_000_000);
    get(slow, '/big', { times: 200 });
    machine.run();
    expect(slow.isClosed).toBe(true);
    expect(machine.lines.at(-1)).toContain('it does not read');
    get(neighbour, '/big');
    machine.run();
    expect(codes(neighbour.replies)).toEqual([ErrorCode.OK, ErrorCode.OK]);
  });

  it('is cut off when 64 MiB of events wait for it; those who read get theirs', () => {
    const machine = new MemoryMachine();
    const slow = machine.join();
    const reader = machine.join();
    const path = `/${'p'.repeat(200_000)}`;
    for (const client of [slow, reader]) client.ask(operations.addWatch, { path, mode: 1 });
    machine.run();
    slow.stream.setReading(false);
    create(reader, path);
    for (let i = 0; i < 400; i++) set(reader, path, 0);
    machine.run();
    expect(slow.isClosed).toBe(true);
    expect(reader.events).toBe(401);
    expect(machine.failure).toBeUndefined();
  });

  it('is cut off, the slowest first, when all together hold more than may be held', () => {
    const { machine, neighbour } = machineWithBigZnode({ outboundBytesMax: 9_500_000 });
    const slow = upTo(5).map(() => machine.join());
    for (const [i, client] of slow.entries()) {
      client.stream.setReading(false);
      get(client, '/big', { times: i + 1 });
      machine.run();
    }
    expect(slow.map(({ isClosed }) => isClosed)).toEqual([false, false, false, true, true]);
    expect(machine.server.connectionMemory.held.outbound).toBeLessThan(9_500_000);
    expect(neighbour.isClosed).toBe(false);
  });
});

describe('answers that are asked for in one turn', () => {
  it('never take much more than clients may leave unread together', () => {
    const outboundBytesMax = 9_000_000;
    const machine = new MemoryMachine({ outboundBytesMax });
    const clients = upTo(50).map(() => machine.join({ host: '10.0.0.1' }));
    const [first] = clients;
    if (first !== undefined) create(first, '/big', 1_000_000);
    machine.run();
    let mostBytes = 0;
    const { connectionMemory } = machine.server;
    const addOutbound = connectionMemory.addOutbound.bind(connectionMemory);
    connectionMemory.addOutbound = (bytes) => {
      addOutbound(bytes);
      mostBytes = Math.max(mostBytes, connectionMemory.held.outbound);
    };
    for (const client of clients) {
      client.stream.setReading(false);
      get(client, '/big');
    }
    machine.run();
    expect(mostBytes).toBeGreaterThan(outboundBytesMax);
    expect(mostBytes).toBeLessThan(outboundBytesMax + 2_000_000);
    expect(connectionMemory.held.outbound).toBeLessThan(outboundBytesMax);
  });
});

describe('unfinished requests', () => {
  it('of all connections together are bounded: who brings the excess is ended', () => {
    const machine = new MemoryMachine({ inboundBytesMax: 3 * MIB });
    const clients = upTo(4).map(() => machine.join());
    const start = Buffer.alloc(4 + 1_000_000);
    start.writeInt32BE(0xfffff);
    for (const client of clients) client.send(start);
    machine.run();
    expect(clients.map(({ isClosed }) => isClosed)).toEqual([false, false, false, true]);
    const [first, ...others] = clients;
    first?.send(Buffer.alloc(0xfffff - 1_000_000));
    machine.run();
    for (const client of others) client.stream.end();
    machine.run();
    expect(machine.server.connectionMemory.held.inbound).toBe(0);
  });
});

describe('largeRequestMaxBytes', () => {
  it('ends the connection that brings more bytes of large requests than may be in process together', () => {
    const machine = new MemoryMachine({ largeRequestThreshold: 1000, largeRequestBytesMax: 5000 });
    const [first, second] = [machine.join(), machine.join()];
    create(first, '/a');
    machine.run();
    machine.holdDisk();
    set(first, '/a', 2000, { times: 2 });
    set(second, '/a', 900, { times: 10 });
    machine.run();
    expect(second.isClosed).toBe(false);
    set(second, '/a', 2000);
    machine.run();
    expect(second.isClosed).toBe(true);
    expect(machine.lines.at(-1)).toContain('largeRequestMaxBytes');
    machine.releaseDisk();
    machine.run();
    expect(machine.server.connectionMemory.held.largeRequests).toBe(0);
    set(first, '/a', 4000);
    machine.run();
    expect(codes(first.replies)).toEqual(Array(4).fill(ErrorCode.OK));
  });
});

describe('request_throttle_max_requests', () => {
  it('keeps requests in front of the pipeline while so many are in it, and executes all of them in order', () => {
    const machine = new MemoryMachine({ requestThrottleMaxRequests: 3 });
    const client = machine.join();
    machine.holdDisk();
    for (let i = 0; i < 20; i++) create(client, `/n${i}`);
    machine.run();
    machine.releaseDisk();
    machine.run();
    expect(xids(client.replies)).toEqual(upTo(20));
    expect(codes(client.replies)).toEqual(Array(20).fill(ErrorCode.OK));
  });

  it.each([
    ['are dropped', { requestThrottleDropStale: true }, ErrorCode.NO_NODE],
    ['are executed with request_throttle_drop_stale=false', { requestThrottleDropStale: false }, ErrorCode.OK],
  ])('those of a connection that has gone meanwhile %s', (_what, config, code) => {
    const machine = new MemoryMachine({ requestThrottleMaxRequests: 2, ...config });
    const [client, other] = [machine.join(), machine.join()];
    machine.holdDisk();
    for (const path of ['/a', '/b', '/late']) create(client, path);
    machine.run();
    client.stream.end();
    machine.run();
    machine.releaseDisk();
    machine.run();
    for (const path of ['/a', '/b', '/late']) get(other, path);
    machine.run();
    expect(codes(other.replies)).toEqual([ErrorCode.OK, ErrorCode.OK, code]);
  });
});

describe('request_stale_latency_check', () => {
  it('ends a connection whose request waited longer than its session may be silent, and executes nothing behind it', () => {
    const machine = new MemoryMachine({
      requestThrottleMaxRequests: 2,
      staleLatencyCheck: true,
      tickTimeMs: 1000,
      minSessionTimeoutMs: 1000,
    });
    const [patient, hasty] = [machine.join({ timeoutMs: 20_000 }), machine.join({ timeoutMs: 1000 })];
    machine.holdDisk();
    for (const path of ['/a', '/b', '/patient']) create(patient, path);
    machine.run();
    create(hasty, '/hasty');
    hasty.ask(operations.closeSession, undefined);
    machine.run();
    machine.advance(1001);
    machine.releaseDisk();
    machine.run();
    expect(codes(patient.replies)).toEqual([ErrorCode.OK, ErrorCode.OK, ErrorCode.OK]);
    expect(hasty.isClosed).toBe(true);
    expect(machine.server.metrics.counters.stale_requests_dropped).toBe(1);
    get(patient, '/hasty');
    machine.run();
    expect(codes(patient.replies).at(-1)).toBe(ErrorCode.NO_NODE);
    // Its session ends by its silence, not by the request that came behind the dropped one.
    expect(machine.server.database.sessions.size).toBe(2);
  });
});

describe('connection_throttle_tokens', () => {
  it('turns away who asks for a session when no token is left, before anything is done for it', () => {
    const connectionThrottle = { ...CONNECTION_THROTTLE_DEFAULTS, tokens: 3, fillTimeMs: 100 };
    const machine = new MemoryMachine({ connectionThrottle });
    const clients = upTo(5).map(() => machine.join());
    expect(clients.map(({ isClosed }) => isClosed)).toEqual([false, false, false, true, true]);
    expect(machine.server.database.sessions.size).toBe(3);
    expect(machine.server.metrics.counters.connection_rejected).toBe(2);
    expect(machine.lines.filter((line) => line.includes('(connection_throttle_tokens)')).length).toBeGreaterThan(0);
    machine.advance(101);
    expect(machine.join().isClosed).toBe(false);
    expect(machine.join().isClosed).toBe(true);
  });

  it('refuses by chance as well, and tells at which', () => {
    const connectionThrottle = {
      ...{ tokens: 1, fillCount: 1, fillTimeMs: 1_000_000, freezeTimeMs: 10 },
      ...{ dropIncrease: 1, dropDecrease: 0, decreaseRatio: 0, weights: undefined },
    };
    const machine = new MemoryMachine({ connectionThrottle });
    expect(machine.join().isClosed).toBe(false);
    machine.advance(11);
    expect(machine.join().isClosed).toBe(true);
    expect(machine.server.view().connectionDropChance).toBe(1);
  });
});

describe('sessionsMax', () => {
  it('turns away who asks for one session more, and nobody who has one', () => {
    const machine = new MemoryMachine({ sessionsMax: 2 });
    const [first] = [machine.join(), machine.join()];
    expect(machine.join().isClosed).toBe(true);
    expect(machine.lines.some((line) => line.includes('(sessionsMax)'))).toBe(true);
    const { session } = first;
    first.stream.end();
    machine.run();
    const again = machine.connect();
    if (session !== undefined) again.openSession({ sessionId: session.sessionId, password: session.password });
    machine.run();
    expect(again.session?.sessionId).toBe(session?.sessionId);
    again.ask(operations.closeSession, undefined);
    machine.run();
    expect(machine.join().isClosed).toBe(false);
  });
});

describe('watchBytesMax and connectionWatchBytesMax', () => {
  const watch = (client: MemoryClient, path: string): void => client.ask(operations.exists, { path, watch: true });

  it('end the connection that brings more watches than it may have, and take all of them with it', () => {
    const machine = new MemoryMachine({ connectionWatchBytesMax: 10 * (WATCHED_PATH_BYTES + 4) });
    const [hostile, neighbour] = [machine.join(), machine.join()];
    watch(neighbour, '/n00');
    for (let i = 10; i < 20; i++) watch(hostile, `/n${i}`);
    // The same path again takes nothing.
    watch(hostile, '/n10');
    machine.run();
    expect([hostile.isClosed, machine.server.view().watches.total]).toEqual([false, 11]);
    watch(hostile, '/n20');
    machine.run();
    expect([hostile.isClosed, neighbour.isClosed]).toEqual([true, false]);
    expect(machine.server.view().watches.total).toBe(1);
    expect(machine.lines.at(-1)).toContain('connectionWatchBytesMax');
    create(neighbour, '/n00');
    machine.run();
    expect(neighbour.events).toBe(1);
  });

  it('hold for long paths, for watches set again in one request, and for all connections together', () => {
    const machine = new MemoryMachine({ watchBytesMax: 1_000_000 });
    const [first, second, third] = [machine.join(), machine.join(), machine.join()];
    watch(first, `/${'x'.repeat(600_000)}`);
    machine.run();
    watch(second, `/${'y'.repeat(600_000)}`);
    machine.run();
    expect([first.isClosed, second.isClosed]).toEqual([false, true]);
    const existWatches = Array.from({ length: 2000 }, (_, i) => `/n${i}`);
    const none = { dataWatches: [], childWatches: [] };
    third.ask(operations.setWatches, { relativeZxid: toZxid(0n), existWatches, ...none }, { xid: -8 });
    machine.run();
    expect([first.isClosed, third.isClosed]).toEqual([false, true]);
    expect(machine.server.view().watches.total).toBe(1);
  });
});

describe('throttled_op_wait_time', () => {
  it('refuses what waited longer with THROTTLEDOP, in its order, without a transaction, and never a ping', () => {
    const machine = new MemoryMachine({ requestThrottleMaxRequests: 2, throttledOpWaitMs: 50 });
    const client = machine.join();
    machine.holdDisk();
    for (const path of ['/a', '/b', '/late']) create(client, path);
    get(client, '/a');
    client.ask(operations.ping, undefined, { xid: -2 });
    machine.run();
    machine.advance(60);
    machine.releaseDisk();
    machine.run();
    get(client, '/late');
    machine.run();
    expect(codes(client.replies)).toEqual([
      ErrorCode.OK,
      ErrorCode.OK,
      ErrorCode.THROTTLED_OP,
      ErrorCode.THROTTLED_OP,
      ErrorCode.OK,
      ErrorCode.NO_NODE,
    ]);
    expect(client.replies[2]?.zxid).toBe(0n);
    expect(client.replies[5]?.zxid).toBe(client.replies[1]?.zxid);
  });
});

describe('jute.maxbuffer', () => {
  it('ends the connection of a longer frame when its length has arrived, before its body', () => {
    const machine = new MemoryMachine({ frameBytesMax: 1000 });
    const client = machine.join();
    client.send(Buffer.from([0, 0, 0x03, 0xe9]));
    machine.run();
    expect(client.isClosed).toBe(true);
    expect(machine.lines.at(-1)).toContain('a frame of 1001 bytes; at most 1000 are accepted');
  });
});

describe('a connection without a session', () => {
  it('is ended after its time, however slowly it sends', () => {
    const machine = new MemoryMachine({ sessionlessTimeoutMs: 1000 });
    const client = machine.connect();
    const silent = machine.connect();
    for (const byte of [0, 0, 0, 44, 0, 0, 0, 0, 0]) {
      client.send(Buffer.from([byte]));
      machine.run();
      machine.advance(100);
    }
    expect([client.isClosed, silent.isClosed]).toEqual([false, false]);
    machine.advance(100);
    expect([client.isClosed, silent.isClosed]).toEqual([true, true]);
  });
});
