import { describe, expect, it } from 'vitest';
import { TestingCluster, TestingClusterStateError } from './testing-cluster.ts';

describe('a testing cluster', () => {
  it('has one leader, followers and observers, and elects another leader when that one is killed', async () => {
    await using cluster = await TestingCluster.start(3, { observers: 1 });
    const first = cluster.leader;
    expect([1, 2, 3].filter((id) => cluster.roleOf(id) === 'follower')).toHaveLength(2);
    expect(cluster.roleOf(4)).toBe('observer');
    await cluster.kill(first);
    await expect.poll(() => cluster.servers.map((id) => cluster.roleOf(id)).includes('leader')).toBe(true);
    expect(cluster.leader).not.toBe(first);
    await cluster.restart(first);
    await cluster.established();
    expect(cluster.roleOf(first)).toBe('follower');
  });

  it('has no leader in the smaller part of a partition, and one leader when that has healed', async () => {
    await using cluster = await TestingCluster.start(3);
    const cutOff = cluster.leader;
    const others = [1, 2, 3].filter((id) => id !== cutOff);
    cluster.partition([cutOff], others);
    await expect.poll(() => cluster.roleOf(cutOff)).toBe(undefined);
    await expect.poll(() => others.map((id) => cluster.roleOf(id)).sort()).toEqual(['follower', 'leader']);
    cluster.heal();
    await cluster.established();
    expect(cluster.roleOf(cutOff)).toBe('follower');
  });

  it('says what is not there: a leader without a quorum, a server, a running server', async () => {
    await using cluster = await TestingCluster.start(3);
    await cluster.kill(1);
    await cluster.kill(2);
    await expect.poll(() => cluster.roleOf(3)).toBe(undefined);
    expect(() => cluster.leader).toThrow(TestingClusterStateError);
    expect(() => cluster.pause(1)).toThrow('server 1 of the testing cluster does not run');
    expect(() => cluster.partition([4])).toThrow('the testing cluster has no server 4');
  });

  it('may be closed twice, and starts nothing afterwards', async () => {
    const cluster = await TestingCluster.start(1);
    await cluster.close();
    await cluster.close();
    await expect(cluster.restart(1)).rejects.toThrow('the testing cluster is closed');
  });
});
