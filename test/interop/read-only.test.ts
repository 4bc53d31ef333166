/** A client that makes do with a server without a quorum: a real one, cut off from an ensemble of three that has no other member. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConnectionLossError, connect, NotReadOnlyError, RetryNTimes } from 'zookeeper-client-ts';
import { type ApacheZooKeeper, freePort, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

describe.skipIf(missing !== undefined)('a read-only Apache ZooKeeper', () => {
  let cutOff: ApacheZooKeeper;
  let healthy: ApacheZooKeeper;
  beforeAll(async () => {
    const ports = await Promise.all(Array.from({ length: 6 }, freePort));
    const member = (id: number) => `127.0.0.1:${ports[2 * id - 2]}:${ports[2 * id - 1]}`;
    [cutOff, healthy] = await Promise.all([
      startApacheZooKeeper({
        myId: 1,
        config: {
          initLimit: 5,
          syncLimit: 5,
          localSessionsEnabled: 'true',
          localSessionsUpgradingEnabled: 'true',
          'server.1': member(1),
          'server.2': member(2),
          'server.3': member(3),
        },
        properties: { 'readonlymode.enabled': 'true' },
      }),
      startApacheZooKeeper(),
    ]);
  });
  afterAll(() => Promise.all([cutOff?.stop(), healthy?.stop()]));

  const options = { sessionTimeoutMs: 4000, connectionTimeoutMs: 3000, retry: new RetryNTimes(0, 0) };

  it('is no server for those who have not asked for one', async () => {
    await expect(connect(cutOff.connectString, options)).rejects.toBeInstanceOf(ConnectionLossError);
  });

  it('answers reads, refuses writes, and is left for a server with a quorum', async () => {
    await using client = await connect(cutOff.connectString, { ...options, canBeReadOnly: true });
    const states: string[] = [];
    client.on('state', (state) => states.push(state));
    expect(client.state).toBe('READ_ONLY');
    expect(await client.getChildren('/')).toContain('zookeeper');
    await expect(client.create('/a')).rejects.toBeInstanceOf(NotReadOnlyError);
    const { sessionId } = client;

    client.zookeeper.updateServerList(`${cutOff.connectString},${healthy.connectString}`);
    await expect.poll(() => client.state, { timeout: 15_000 }).toBe('CONNECTED');
    expect(client.sessionId).not.toBe(sessionId);
    expect(await client.create('/a')).toBe('/a');
    expect(states).not.toContain('LOST');
  });
});
