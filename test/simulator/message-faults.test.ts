import { describe, expect, it } from 'vitest';
import type { ConnectionHandler } from 'zookeeper-client-ts';
import { FaultyTransport, type MessageFault } from './message-faults.ts';
import { World } from './world.ts';

const TRAVEL_MS = 1;
const SLOW_MS = 1000;
const LATE_MS = 5000;

/** A frame of 12 bytes: its length, and 8 times the same byte. */
const frame = (byte: number): Buffer => Buffer.concat([Buffer.from([0, 0, 0, 8]), Buffer.alloc(8, byte)]);

/** A client that says 1, 2, 3 in frames, 100 ms apart, to a server that says the same back. */
const converse = async (...faults: MessageFault[]) => {
  const world = new World({ seed: 1, network: { delayMs: [TRAVEL_MS, TRAVEL_MS] } });
  const server = world.spawn('s');
  const client = world.spawn('c');
  const heard = { server: '', client: '' };
  let lastHeardAtMs = 0;
  let saidAtMs = 0;
  const ends: { who: string; atMs: number }[] = [];
  server.network.listen(
    { host: '0.0.0.0', port: 1 },
    {
      onListening: () => undefined,
      onFailure: (error) => {
        throw error;
      },
      onStream: (stream) => ({
        onBytes: (bytes) => {
          heard.server += Buffer.from(bytes).toString('hex');
          stream.write(Buffer.from(bytes));
        },
        onDrain: () => undefined,
        onClose: () => ends.push({ who: 'server', atMs: world.nowMs }),
      }),
    },
  );
  await world.runFor(10);
  const wire = new FaultyTransport({
    clock: client.clock,
    transport: client.network,
    faults,
    slowMs: SLOW_MS,
    lateMs: LATE_MS,
  });
  const handler: ConnectionHandler = {
    onOpen: () => undefined,
    onBytes: (bytes) => {
      heard.client += Buffer.from(bytes).toString('hex');
      lastHeardAtMs = world.nowMs;
    },
    onClose: () => ends.push({ who: 'client', atMs: world.nowMs }),
  };
  const connection = wire.connect({ host: 's', port: 1 }, handler);
  await world.runFor(100);
  for (const byte of [1, 2, 3]) {
    saidAtMs = world.nowMs;
    void client.act(() => connection.write(frame(byte)));
    await world.runFor(100);
  }
  await world.runFor(2 * LATE_MS);
  return { world, client, wire, heard, ends, connection, saidAtMs, lastHeardAtMs };
};
const hex = (...bytes: number[]): string => Buffer.concat(bytes.map(frame)).toString('hex');

/** What the other side of a connection has heard when the second message of a direction is lost. */
const torn = (byte: number): string => hex(byte).slice(0, 18);

describe('a transport that fails at a message', () => {
  it('counts the messages of each direction, and changes nothing without a fault', async () => {
    const { wire, heard, ends } = await converse();
    expect(heard).toEqual({ server: hex(1, 2, 3), client: hex(1, 2, 3) });
    expect(wire.messages).toEqual({ request: 3, reply: 3 });
    expect(wire.struck).toEqual([]);
    expect(ends).toEqual([]);
    expect(wire.openConnections).toBe(1);
  });

  it.each([
    ['request', 'cut before', hex(1), hex(1)],
    ['request', 'cut within', hex(1) + torn(2), hex(1)],
    ['request', 'cut after', hex(1, 2), hex(1)],
    ['request', 'one way', hex(1), hex(1)],
    ['request', 'half-open', hex(1), hex(1)],
    ['reply', 'cut before', hex(1, 2), hex(1)],
    ['reply', 'cut within', hex(1, 2), hex(1) + torn(2)],
    ['reply', 'cut after', hex(1, 2), hex(1, 2)],
    ['reply', 'one way', hex(1, 2, 3), hex(1)],
    ['reply', 'half-open', hex(1, 2), hex(1)],
  ] as const)('%s 2, %s', async (direction, kind, server, client) => {
    const fault: MessageFault = { direction, message: 2, kind };
    const run = await converse(fault);
    expect(run.wire.struck).toEqual([fault]);
    expect(run.heard.server).toBe(server);
    expect(run.heard.client).toBe(client);
    const told = kind.startsWith('cut') ? ['client', 'server'] : [];
    expect(run.ends.map(({ who }) => who)).toEqual(told);
    expect(run.wire.openConnections).toBe(told.length === 0 ? 1 : 0);
  });

  it.each([
    ['request', 'slow', SLOW_MS],
    ['request', 'late', LATE_MS],
    ['reply', 'slow', SLOW_MS],
    ['reply', 'late', LATE_MS],
  ] as const)('%s 2 and all behind it are %s, in their order', async (direction, kind, delayMs) => {
    const run = await converse({ direction, message: 2, kind });
    expect(run.heard).toEqual({ server: hex(1, 2, 3), client: hex(1, 2, 3) });
    expect(run.ends).toEqual([]);
    expect(run.lastHeardAtMs - run.saidAtMs).toBeCloseTo(delayMs + 2 * TRAVEL_MS);
  });

  it('can be told the connection that is meant', async () => {
    const fault = { direction: 'request', message: 2, kind: 'one way' } as const;
    expect((await converse({ ...fault, connection: 2 })).wire.struck).toEqual([]);
    expect((await converse({ ...fault, connection: 1 })).wire.struck).toHaveLength(1);
  });

  it('passes on the end of a connection, but not over a lost direction', async () => {
    for (const kind of ['late', 'one way'] as const) {
      const run = await converse({ direction: 'request', message: 2, kind });
      void run.client.act(() => run.connection.close());
      await run.world.runFor(2 * LATE_MS);
      expect(run.ends.map(({ who }) => who)).toEqual(kind === 'late' ? ['server'] : []);
      expect(run.wire.openConnections).toBe(0);
    }
  });
});
