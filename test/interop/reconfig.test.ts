/** The configuration of a real ensemble, small as it is: read, changed, and followed by the client. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BadVersionError, type CuratorFramework, connect, RetryNTimes } from 'zookeeper-client-ts';
import { type ApacheZooKeeper, freePort, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

describe.skipIf(missing !== undefined)('the configuration of an Apache ZooKeeper ensemble', () => {
  let server: ApacheZooKeeper;
  let client: CuratorFramework;
  let self: string;
  beforeAll(async () => {
    self = `127.0.0.1:${await freePort()}:${await freePort()}`;
    server = await startApacheZooKeeper({
      myId: 1,
      config: {
        initLimit: 5,
        syncLimit: 5,
        reconfigEnabled: 'true',
        standaloneEnabled: 'false',
        skipACL: 'yes',
        'server.1': self,
      },
    });
    const options = { sessionTimeoutMs: 4000, retry: new RetryNTimes(3, 200), namespace: 'app' };
    client = await connect(`${server.connectString}/zookeeper`, options);
  });
  afterAll(async () => {
    await client?.close();
    await server?.stop();
  });

  const connectString = () => client.zookeeper.connectString;

  it('names the servers, also for a client in a chroot and a namespace', async () => {
    expect((await client.getConfig({})).data.toString()).toContain(`server.1=127.0.0.1:`);
    expect(connectString()).toBe(`${server.connectString}/zookeeper`);
  });

  it('can be changed, and the client follows without losing its session or its chroot', async () => {
    const { sessionId } = client;
    const before = await client.getConfig().forEnsemble();
    const version = BigInt(`0x${/version=([0-9a-f]+)/.exec(before.toString())?.[1]}`);
    const port = await freePort();
    const observer = `server.2=localhost:${await freePort()}:${await freePort()}:observer;localhost:${port}`;
    // So far the configuration doesn't say where the first one serves clients.
    const first = `server.1=${self}:participant;127.0.0.1:${server.port}`;
    const text = await client.reconfig().joining(first, observer).fromConfig(version).forEnsemble();
    expect(text.toString()).toContain('server.2=');
    await expect.poll(connectString).toBe(`${server.connectString},localhost:${port}/zookeeper`);
    const stale = client.reconfig({ leaving: ['2'], fromConfig: version });
    await expect(stale).rejects.toBeInstanceOf(BadVersionError);
    await client.reconfig({ leaving: ['2'] });
    await expect.poll(connectString).toBe(`${server.connectString}/zookeeper`);
    expect(client.sessionId).toBe(sessionId);
  });

  it('can be replaced as a whole, unless it is another one by now', async () => {
    const version = async () => {
      const config = await client.getConfig().forEnsemble();
      return BigInt(`0x${/version=([0-9a-f]+)/.exec(config.toString())?.[1]}`);
    };
    const before = await version();
    const members = [`server.1=${self}:participant;localhost:${server.port}`];
    const text = await client
      .reconfig()
      .withNewMembers(...members)
      .fromConfig(before)
      .forEnsemble();
    expect(text.toString()).toContain(members[0]);
    expect(await version()).toBeGreaterThan(before);
    await expect(client.reconfig({ newMembers: members, fromConfig: before })).rejects.toBeInstanceOf(BadVersionError);
    await expect.poll(connectString).toBe(`localhost:${server.port}/zookeeper`);
  });
});
