/** Clients of an ensemble of ours: what they notice when its leader dies, or is cut off. */
import { describe, expect, it } from 'vitest';
import { connect, ExponentialBackoffRetry } from 'zookeeper-client-ts';
import { TestingCluster } from 'zookeeper-server-ts/testing';

const retry = new ExponentialBackoffRetry(50, 10);

describe('an ensemble', () => {
  it('keeps sessions, ephemerals and acknowledged writes when its leader is killed', async () => {
    await using cluster = await TestingCluster.start(3);
    await using client = await connect(cluster.connectString, { retry, sessionTimeoutMs: 10_000 });
    const { sessionId } = client;
    await client.create('/kept', { data: 'before' });
    await client.create('/alive', { mode: 'EPHEMERAL' });
    await cluster.kill(cluster.leader);
    await client.setData('/kept', 'after');
    expect(client.sessionId).toBe(sessionId);
    expect((await client.getData('/kept')).data.toString()).toBe('after');
    expect(await client.checkExists('/alive')).toMatchObject({ ephemeralOwner: sessionId });
  });

  it('goes on in the larger part of a partition, and brings the rest up to date when that has healed', async () => {
    await using cluster = await TestingCluster.start(3);
    const cutOff = cluster.leader;
    const others = [1, 2, 3].filter((id) => id !== cutOff);
    cluster.partition([cutOff], others);
    await using client = await connect(others.map((id) => cluster.connectStringOf(id)).join(','), { retry });
    await client.create('/written', { data: 'meanwhile' });
    cluster.heal();
    await cluster.established();
    await using behind = await connect(cluster.connectStringOf(cutOff), { retry });
    await behind.sync('/');
    expect((await behind.getData('/written')).data.toString()).toBe('meanwhile');
  });

  it('expires a session everywhere when that is asked for', async () => {
    await using cluster = await TestingCluster.start(3);
    await using client = await connect(cluster.connectString, { retry });
    await client.create('/ours', { mode: 'EPHEMERAL' });
    expect(await cluster.expireSession(client.sessionId)).toBe(true);
    await using other = await connect(cluster.connectString, { retry });
    expect(await other.checkExists('/ours')).toBeUndefined();
  });
});
