/**
 * An ensemble of real processes of ours, each on a network of its own: cables are pulled, and nobody is told. What a majority can
 * reach goes on, what it can't reach doesn't, and afterwards all have everything that was acknowledged.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectOneDigest, expectOneTree, Writers } from './ensemble-checks.fixture.ts';
import { type EnsembleMember, EnsembleOfProcesses, ours, settingsWith } from './ensemble-processes.fixture.ts';
import { NetworkNamespaces, whyNoNamespaces } from './network-namespaces.fixture.ts';

const SOME = 30;
const missing = whyNoNamespaces();
if (missing !== undefined) console.warn(`skipped, ensemble-partitions: ${missing}`);

describe.skipIf(missing !== undefined)('an ensemble of three networks', { timeout: 60_000 }, () => {
  let networks: NetworkNamespaces;
  let ensemble: EnsembleOfProcesses;
  let runs = 0;

  beforeAll(async () => {
    networks = await NetworkNamespaces.make(3);
    // Clients notice after two thirds of that that they are cut off.
    const settings = settingsWith('maxSessionTimeout=4500');
    ensemble = await EnsembleOfProcesses.start({
      settings,
      runners: [1, 2, 3].map((id) => (zooCfg) => [...networks.prefixOf(id), ...ours(zooCfg)]),
      hosts: [1, 2, 3].map((id) => networks.hostOf(id)),
    });
  });
  afterAll(async () => {
    await ensemble?.stop();
    await networks?.[Symbol.asyncDispose]();
  });

  const write = (): Promise<Writers> => Writers.start(ensemble.connectString, `/run-${++runs}`);

  it('replaces a leader that is cut off, and takes it back when the cut is healed', async () => {
    await using writers = await write();
    await writers.go(SOME);
    const leader = await ensemble.leader();
    networks.cut(leader.id);
    await writers.go(SOME);
    networks.heal(leader.id);
    await writers.go(SOME);
    await expectOneTree(ensemble, await writers.stop());
    expect(await leader.output()).toContain('this server has no leader: a quorum of followers is gone');
  });

  it('does not miss a follower that is cut off, which serves nobody until the cut is healed', async () => {
    await using writers = await write();
    await writers.go(SOME);
    const [follower] = ensemble.others(await ensemble.leader());
    if (follower === undefined) throw new Error('three servers');
    networks.cut(follower.id);
    await writers.go(SOME);
    await expect.poll(() => follower.output()).toMatch(/this server has no leader: the leader was silent for \d+ ms/);
    networks.heal(follower.id);
    await expectOneTree(ensemble, await writers.stop());
  });

  it('stops when all are cut off from each other, and has everything when the cuts are healed', async () => {
    await using writers = await write();
    await writers.go(SOME);
    const before = await Promise.all(ensemble.members.map(timesWithoutLeader));
    for (const { id } of ensemble.members) networks.cut(id);
    const left = async () =>
      (await Promise.all(ensemble.members.map(timesWithoutLeader))).every((n, i) => n > (before[i] ?? 0));
    await expect.poll(left).toBe(true);
    for (const { id } of ensemble.members) networks.heal(id);
    await writers.go(SOME);
    await expectOneTree(ensemble, await writers.stop());
    await expectOneDigest(ensemble);
  });
});

const timesWithoutLeader = async (member: EnsembleMember): Promise<number> =>
  (await member.output()).split('this server has no leader').length - 1;
