/** Barriers with Java Curator, and the gate with kazoo as well, on the same paths of a real Apache ZooKeeper. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type CuratorFramework, connect, ExponentialBackoffRetry } from 'zookeeper-client-ts';
import { DistributedBarrier, DistributedDoubleBarrier } from 'zookeeper-recipes-ts';
import { type ApacheZooKeeper, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';
import { CrossPeer } from './cross-peer.fixture.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

const interopDir = process.env.INTEROP_DIR ?? fileURLToPath(new URL('../../../shared/interop', import.meta.url));

let server: ApacheZooKeeper;
let client: CuratorFramework;
const peers: CrossPeer[] = [];

function startPeer(...args: readonly string[]): CrossPeer {
  const peer = new CrossPeer(server.connectString, ...args);
  peers.push(peer);
  return peer;
}

/** kazoo, to the end of what it was asked for: what it says. */
async function kazoo(...args: readonly string[]): Promise<string> {
  const env = { ...process.env, ZK_HOSTS: server.connectString };
  const { stdout } = await promisify(execFile)('/usr/bin/python3', [join(interopDir, 'cross_peer.py'), ...args], {
    env,
  });
  return stdout;
}

/** When it happened, by the clock of this machine. */
const timed = (happening: Promise<unknown>): Promise<number> => happening.then(() => Date.now());

describe.skipIf(missing !== undefined)('with Java Curator on the same path', () => {
  beforeAll(async () => {
    server = await startApacheZooKeeper();
    client = await connect(server.connectString, {
      sessionTimeoutMs: 10_000,
      retry: new ExponentialBackoffRetry(100, 3),
    });
  });
  afterAll(async () => {
    await client?.close();
    await server?.stop();
  });
  afterEach(async () => {
    await Promise.all(peers.splice(0).map((peer) => peer[Symbol.asyncDispose]()));
  });

  it('DistributedBarrier: one waits until the other removes it, both ways, with kazoo as well', async () => {
    const barrier = new DistributedBarrier(client, '/barriers/gate');
    await barrier.setBarrier();
    const java = startPeer('barrier', 'wait', '/barriers/gate');
    const python = kazoo('barrier', 'wait', '/barriers/gate');
    await java.line('WAITING');
    const removed = Date.now();
    await barrier.removeBarrier();
    expect((await java.line('PASSED')).at).toBeGreaterThanOrEqual(removed);
    expect(await python).toContain('PASSED');

    await startPeer('barrier', 'set', '/barriers/gate').line('SET');
    const passed = timed(barrier.waitOnBarrier());
    const remover = startPeer('barrier', 'remove', '/barriers/gate');
    const { at } = await remover.line('SESSION');
    await remover.line('REMOVED');
    expect(await passed).toBeGreaterThanOrEqual(at);
  });

  it.each([1, 2])(
    'DistributedDoubleBarrier: one of ours and two of theirs go in and out together, round %d',
    async () => {
      const ours = new DistributedDoubleBarrier(client, '/barriers/room', 3);
      const theirs = [1, 2].map(() => startPeer('doublebarrier', '/barriers/room', '3', '-1'));
      await Promise.all(theirs.map((peer) => peer.line('ENTERING')));
      await expect.poll(() => client.checkExists('/barriers/room')).toBeDefined();
      await expect.poll(() => client.getChildren('/barriers/room')).toHaveLength(2);
      const coming = Date.now();
      const inside = await ours.enter();
      expect(inside.isHeld()).toBe(true);
      for (const peer of theirs) expect((await peer.line('ENTERED')).at).toBeGreaterThanOrEqual(coming);

      const out = timed(ours.leave());
      theirs[0]?.say();
      await theirs[0]?.line('LEAVING');
      theirs[1]?.say();
      const last = await theirs[1]?.line('LEAVING');
      expect(await out).toBeGreaterThanOrEqual(last?.at ?? 0);
      await Promise.all(theirs.map((peer) => peer.line('LEFT')));
      expect(await client.checkExists('/barriers/room/ready')).toBeUndefined();
    },
  );

  it('DistributedDoubleBarrier: theirs wait for ours to leave', async () => {
    const ours = new DistributedDoubleBarrier(client, '/barriers/wait', 2);
    const theirs = startPeer('doublebarrier', '/barriers/wait', '2', '0');
    await Promise.all([ours.enter(), theirs.line('LEAVING')]);
    // It has left its znode, or watches ours.
    const leaving = Date.now();
    await ours.leave();
    expect((await theirs.line('LEFT')).at).toBeGreaterThanOrEqual(leaving);
  });
});
