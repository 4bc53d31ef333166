/**
 * Ensembles of real processes of ours: killed, frozen, out of disk. Every write that was acknowledged is there afterwards, on all
 * servers, and their trees are the same.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPEN_ACL, operations } from 'zookeeper-protocol-ts';
import { expectOneDigest, expectOneTree, Writers } from './ensemble-checks.fixture.ts';
import { EnsembleOfProcesses, ours, settingsWith } from './ensemble-processes.fixture.ts';
import { RawConnection } from './raw-connection.ts';

const SOME = 30;

describe('an ensemble of three processes', { timeout: 60_000 }, () => {
  let ensemble: EnsembleOfProcesses;
  const acknowledged: string[] = [];
  let runs = 0;

  beforeAll(async () => {
    // Clients notice after two thirds of that that their server is frozen.
    const settings = settingsWith('maxSessionTimeout=4500');
    ensemble = await EnsembleOfProcesses.start({ runners: [ours, ours, ours], settings });
  });
  afterAll(() => ensemble?.stop());

  const write = (): Promise<Writers> => Writers.start(ensemble.connectString, `/run-${++runs}`);

  /** Ends the writers, and compares all servers. */
  async function judge(writers: Writers): Promise<void> {
    acknowledged.push(...(await writers.stop()));
    await expectOneTree(ensemble, acknowledged);
  }

  it('goes on when its leader is killed, and takes it back', async () => {
    await using writers = await write();
    await writers.go(SOME);
    const leader = await ensemble.leader();
    await leader.kill();
    await writers.go(SOME);
    await ensemble.restart(leader);
    await writers.go(SOME);
    await judge(writers);
  });

  it('acknowledges nothing when a majority is killed, and loses nothing', async () => {
    await using writers = await write();
    await writers.go(SOME);
    const leader = await ensemble.leader();
    const [follower, survivor] = ensemble.others(leader);
    if (follower === undefined || survivor === undefined) throw new Error('three servers');
    await Promise.all([leader.kill(), follower.kill()]);
    await expect.poll(() => survivor.mode()).toBe('none');
    const before = writers.count;
    await expect(RawConnection.withSession(survivor.clientPort)).rejects.toThrow('closed');
    expect(writers.count).toBe(before);
    await ensemble.restart(follower);
    await writers.go(SOME);
    await ensemble.restart(leader);
    await judge(writers);
  });

  it('replaces a leader that is frozen for longer than syncLimit; when it goes on, it has nothing to say', async () => {
    await using writers = await write();
    await writers.go(SOME);
    const frozen = await ensemble.leader();
    const { connection } = await RawConnection.withSession(frozen.clientPort);
    frozen.pause();
    // It reads this when it goes on, and thinks then that it leads.
    const late = connection.call(operations.create, { path: '/late', data: null, acl: OPEN_ACL, flags: 0 });
    await writers.go(SOME);
    frozen.resume();
    await expect(late).rejects.toThrow('closed');
    await judge(writers);
    expect(await frozen.output()).toContain('this server has no leader: a quorum of followers is gone');
  });

  it('has everything when all are killed at once', async () => {
    await using writers = await write();
    await writers.go(SOME);
    await Promise.all(ensemble.members.map((member) => member.kill()));
    await ensemble.startAll();
    await writers.go(SOME);
    await judge(writers);
  });

  it('has the same digest on every disk in the end', async () => {
    await expectOneDigest(ensemble);
  });
});
