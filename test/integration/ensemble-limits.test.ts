/**
 * Ensembles of real processes of ours, larger and in need: five servers, a disk that is full, and the classic zoo.cfg of four servers
 * with an observer. Every write that was acknowledged is there afterwards, on all servers.
 */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { connectThrough, expectOneDigest, expectOneTree, Writers } from './ensemble-checks.fixture.ts';
import { type EnsembleMember, EnsembleOfProcesses, ours, settingsWith } from './ensemble-processes.fixture.ts';

const SOME = 30;
const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

describe('an ensemble of processes', { timeout: 60_000 }, () => {
  it('of five goes on without any two, stops without three, and has everything in the end', async () => {
    const settings = settingsWith('maxSessionTimeout=4500');
    await using ensemble = await EnsembleOfProcesses.start({ runners: [ours, ours, ours, ours, ours], settings });
    await using writers = await Writers.start(ensemble.connectString, '/written');
    await writers.go(SOME);
    const first = await ensemble.leader();
    const frozen = ensemble.others(first)[0] as EnsembleMember;
    frozen.pause();
    await first.kill();
    await writers.go(SOME);
    const second = await ensemble.leader();
    await second.kill();
    const survivors = ensemble.others(first, frozen, second);
    for (const survivor of survivors) await expect.poll(() => survivor.mode()).toBe('none');
    await ensemble.restart(first);
    frozen.resume();
    await writers.go(SOME);
    await ensemble.restart(second);
    await expectOneTree(ensemble, await writers.stop());
    await expectOneDigest(ensemble);
  });

  it.skipIf(!hasPrlimit)(
    'stops the leader whose disk is full, and goes on; with room again it has everything',
    async () => {
      await using ensemble = await EnsembleOfProcesses.start({
        runners: [ours, ours, ours],
        settings: settingsWith('preAllocSize=64'),
      });
      await using writers = await Writers.start(ensemble.connectString, '/written', { dataBytes: 4096 });
      await writers.go(SOME);
      const leader = await ensemble.leader();
      const limited = spawnSync('prlimit', ['--pid', String(leader.pid), `--fsize=${512 * 1024}`]);
      expect(limited.status, limited.stderr.toString()).toBe(0);
      expect(await leader.exited).toBeGreaterThan(0);
      expect(await leader.output()).toMatch(/this server stops: .*EFBIG/);
      await writers.go(SOME);
      expect((await ensemble.leader()).id).not.toBe(leader.id);
      await ensemble.restart(leader);
      await expectOneTree(ensemble, await writers.stop());
      await expectOneDigest(ensemble);
    },
  );

  it('of four, one of them an observer, works with the classic zoo.cfg as it stands', async () => {
    await using ensemble = await EnsembleOfProcesses.start({
      runners: [ours, ours, ours, ours],
      observers: [4],
      settings: [
        '# The number of milliseconds of each tick',
        'tickTime=2000',
        '# The number of ticks that the initial ',
        '# synchronization phase can take',
        'initLimit=10',
        '# The number of ticks that can pass between ',
        '# sending a request and getting an acknowledgement',
        'syncLimit=5',
        '# the directory where the snapshot is stored.',
        'dataDir=data',
        'dataLogDir=log',
        '# the maximum number of client connections.',
        '#maxClientCnxns=60',
        '#autopurge.snapRetainCount=3',
        '#autopurge.purgeInterval=1',
      ],
    });
    expect((await Promise.all(ensemble.members.map((member) => member.mode()))).sort()).toEqual([
      'follower',
      'follower',
      'leader',
      'observer',
    ]);
    await using client = await connectThrough(ensemble.member(4).connectString);
    await client.create('/through-the-observer', { data: 'x' });
    const leader = await ensemble.leader();
    await leader.kill();
    await client.setData('/through-the-observer', 'y');
    await ensemble.restart(leader);
    const tree = await expectOneTree(ensemble, ['/through-the-observer']);
    expect(tree['/through-the-observer']).toMatchObject({ data: Buffer.from('y').toString('hex') });
  });
});
