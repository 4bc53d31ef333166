import { describe, expect, it } from 'vitest';
import { ConnectionLossError, CreateMode, NoAuthError } from 'zookeeper-client-ts';
import { type FakeClient, FakeServers, settle } from './fake-client.fixture.ts';
import { PersistentTtlNode } from './persistent-ttl-node.ts';
import { RecipeStateError } from './recipe-state.ts';
import { string } from './serializer.ts';

const PATH = '/jobs/j';

function nodeOf(client: FakeClient) {
  const node = new PersistentTtlNode(client.framework, PATH, { ttlMs: 10_000, data: 'mine', serializer: string });
  const errors: string[] = [];
  node.on('error', (error) => errors.push((error as Error).name));
  return { client, node, errors };
}

/** Started, and there. */
async function kept() {
  const servers = new FakeServers();
  const made = nodeOf(servers.newClient().start());
  await made.node.start().waitForInitialCreate();
  await settle();
  return { servers, ...made };
}

const touches = (servers: FakeServers): number | undefined => servers.znodes.get(`${PATH}/touch`)?.stat.version;

describe('PersistentTtlNode', () => {
  it('has its child at once (CURATOR-545), and writes to it twice in its time to live, not to itself', async () => {
    const { servers, client, node } = await kept();
    expect(touches(servers)).toBe(0);
    await client.clock.advance(20_000);
    expect(touches(servers)).toBe(4);
    expect(servers.read(PATH)).toMatchObject({ data: Buffer.from('mine'), stat: { version: 0 } });
    // Also the one that is never written to: a container goes only behind a child.
    expect([...client.modes.values()]).toEqual([CreateMode.PERSISTENT_WITH_TTL, CreateMode.PERSISTENT_WITH_TTL]);
    await node.close();
  });

  it('makes the child again when it has gone, and both when the znode has gone', async () => {
    const { servers, client, node } = await kept();
    servers.delete(`${PATH}/touch`);
    await client.clock.advance(5_000);
    expect(touches(servers)).toBe(0);
    servers.delete(`${PATH}/touch`);
    servers.delete(PATH);
    await settle();
    expect([...servers.znodes.keys()].sort()).toEqual([PATH, `${PATH}/touch`]);
    await node.close();
  });

  it('closed, it writes no more, and leaves the znode to the servers', async () => {
    const { servers, client, node } = await kept();
    await Promise.all([node.close(), node.close()]);
    await client.clock.advance(60_000);
    expect(touches(servers)).toBe(0);
    expect(servers.znodes.has(PATH)).toBe(true);
    expect(client.clock.alarms).toBe(0);
    expect(() => node.setData('late')).toThrow(RecipeStateError);
  });

  it('takes no notice when the connection fails a write, and tells when it is refused', async () => {
    const { servers, client, node, errors } = await kept();
    const failures = [new ConnectionLossError('lost'), new NoAuthError('no')];
    client.onRequest = () => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
    };
    await client.clock.advance(15_000);
    expect(errors).toEqual(['NoAuthError']);
    expect(touches(servers)).toBe(1);
    await node.close();
  });

  it('says something else when it is told', async () => {
    const { servers, node } = await kept();
    await node.setData('other');
    expect(node.getData()).toBe('other');
    expect(servers.read(PATH).data.toString()).toBe('other');
    await node.close();
  });

  it('ends with its client, and leaves no timer', async () => {
    const { client, node } = await kept();
    client.close();
    await settle();
    expect(node.state).toBe('CLOSED');
    expect(client.clock.alarms).toBe(0);
    await node.close();
  });
});
