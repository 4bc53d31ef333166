/**
 * Ensembles of Apache ZooKeeper 3.8 and our servers, in which those of one kind don't vote, and in which servers of one kind are
 * replaced by the other on the same folders.
 */
import { describe, expect, it } from 'vitest';
import { EventType } from 'zookeeper-client-ts';
import { connectThrough, expectOneDigest, expectOneTree, Writers } from '../integration/ensemble-checks.fixture.ts';
import { EnsembleOfProcesses, ours, settingsWith } from '../integration/ensemble-processes.fixture.ts';
import { whyNoApacheZooKeeper } from './apache-zookeeper.ts';
import { java } from './ensemble-runners.fixture.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`interop/ensemble-changes is skipped: ${missing}`);

const FEW = 20;
/** More than a leader of either kind keeps in memory for learners that lack it. */
const MANY = 1100;

describe.skipIf(missing !== undefined)('an ensemble of both kinds', () => {
  it.each([
    { leaders: 'Java', observers: 'ours', runners: [java, java, ours] },
    { leaders: 'ours', observers: 'Java', runners: [ours, ours, java] },
  ])(
    'has voters of $leaders and an observer of $observers: it serves, falls behind, and never votes',
    async ({ runners }) => {
      await using ensemble = await EnsembleOfProcesses.start({
        runners,
        observers: [3],
        settings: settingsWith('snapshotSizeFactor=-1'),
      });
      const [one, two, observer] = [ensemble.member(1), ensemble.member(2), ensemble.member(3)];
      expect(await observer.mode()).toBe('observer');
      expect((await Promise.all([one.mode(), two.mode()])).sort()).toEqual(['follower', 'leader']);

      await using observed = await connectThrough(observer.connectString);
      await using voted = await connectThrough(one.connectString);
      const events: EventType[] = [];
      await observed.checkExists('/seen', { watcher: ({ type }) => events.push(type) });
      await voted.create('/seen', { data: 'by a voter' });
      await expect.poll(() => events).toEqual([EventType.NodeCreated]);
      await observed.create('/seen/ephemeral', { mode: 'EPHEMERAL' });
      await observed.transaction([
        observed.op.setData('/seen', 'by the observer', { version: 0 }),
        observed.op.create('/seen/multi'),
      ]);
      await voted.sync('/seen');
      expect((await voted.getChildren('/seen')).sort()).toEqual(['ephemeral', 'multi']);

      // It comes back with little to learn, and with much.
      for (const count of [FEW, MANY]) {
        await observer.kill();
        await Promise.all(Array.from({ length: count }, () => voted.setData('/seen', 'without the observer')));
        await ensemble.restart(observer);
        await expectOneTree(ensemble, ['/seen/multi', '/seen/ephemeral']);
      }

      // Of two voters both are a majority; with the observer, one of them is not.
      const leader = await ensemble.leader();
      await leader.kill();
      await expect.poll(() => observer.mode()).toBe('none');
      expect(await ensemble.others(leader, observer)[0]?.mode()).toBe('none');
      await ensemble.restart(leader);
      await ensemble.untilServing();
      expect(await observer.mode()).toBe('observer');
      await observed.setData('/seen', 'after another election');
      await observed.close();
      await voted.close();
      const tree = await expectOneTree(ensemble, ['/seen/multi']);
      expect(tree['/seen/ephemeral']).toBeUndefined();
      await expectOneDigest(ensemble);
    },
  );

  it.each([
    { leads: 'ours', learns: 'Java', runners: [java, ours, ours], says: /is sent the log behind zxid/ },
    {
      leads: 'Java',
      learns: 'ours',
      runners: [ours, java, java],
      says: /Use txnlog and committedLog for peer sid: 1/i,
    },
  ])(
    'has a leader of $leads, which brings a follower of $learns that is far behind up to date from its log, under writes',
    async ({ runners, says }) => {
      await using ensemble = await EnsembleOfProcesses.start({
        runners,
        settings: settingsWith('snapshotSizeFactor=0'),
      });
      const [follower, leader] = [ensemble.member(1), await ensemble.leader()];
      expect(leader.id).not.toBe(1);
      await using client = await connectThrough(leader.connectString);
      await using writers = await Writers.start(leader.connectString, '/written');
      await writers.go(FEW);
      await follower.kill();
      await client.create('/changed');
      await Promise.all(Array.from({ length: MANY }, () => client.setData('/changed', 'without the follower')));
      const before = (await follower.output()).length;
      await ensemble.restart(follower);
      await ensemble.untilServing();
      await writers.go(FEW);
      await client.close();
      await expectOneTree(ensemble, ['/changed', ...(await writers.stop())]);
      await expectOneDigest(ensemble);
      expect(await leader.output()).toMatch(says);
      const said = (await follower.output()).slice(before);
      expect(said).not.toMatch(/the leader sends a snapshot|Getting a snapshot from leader/);
      if (runners[0] === java) expect(said).toContain('Getting a diff from the leader');
    },
  );

  it('is what a rolling replacement goes through, Java to ours and back, under writes, on the same folders', async () => {
    await using ensemble = await EnsembleOfProcesses.start({ runners: [java, java, java] });
    await using client = await connectThrough(ensemble.connectString);
    await client.create('/kept', { data: 'by Java', mode: 'EPHEMERAL' });
    const { sessionId } = client;
    await using writers = await Writers.start(ensemble.connectString, '/written');
    for (const runner of [ours, java]) {
      for (const member of ensemble.members) {
        await writers.go(FEW);
        await member.stop();
        await ensemble.restart(member, runner);
        await ensemble.untilServing();
      }
    }
    await writers.go(FEW);
    expect((await client.checkExists('/kept'))?.ephemeralOwner).toBe(sessionId);
    expect(client.sessionId).toBe(sessionId);
    await client.close();
    await expectOneTree(ensemble, await writers.stop());
    await expectOneDigest(ensemble);
  });
});
