/**
 * What docs/ensemble.md tells an operator to do, done: with real processes, under writes. No acknowledged write is lost on the way,
 * and in the end all servers have the same tree.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectThrough, treeOf, Writers } from './ensemble-checks.fixture.ts';
import { type EnsembleMember, EnsembleOfProcesses, ours } from './ensemble-processes.fixture.ts';

const SOME = 30;

/** A line `server.N` for each of them, under these numbers or their own. */
const linesOf = (members: readonly EnsembleMember[], numbers = members.map(({ id }) => id)): string[] =>
  members.map(({ host, quorumPort, electionPort }, i) => `server.${numbers[i]}=${host}:${quorumPort}:${electionPort}`);

/** Writes another list of servers into a zoo.cfg; it counts when the server starts again. */
async function list(member: EnsembleMember, lines: readonly string[]): Promise<void> {
  const file = join(member.folder, 'zoo.cfg');
  const others = (await readFile(file, 'utf8'))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('server.'));
  await writeFile(file, `${[...others, ...lines].join('\n')}\n`);
}

/** All other voters follow, as the leader counts them: what comes before the next step of every procedure. */
async function untilWhole(members: readonly EnsembleMember[]): Promise<void> {
  const synced = async (): Promise<number> => {
    for (const member of members) {
      if ((await member.mode()) === 'leader') return member.monitored('synced_followers');
    }
    return 0;
  };
  await expect.poll(synced, { timeout: 40_000 }).toBe(members.length - 1);
}

/** Restarts those who follow, one by one, then the leader: each with the list that stands in its file now. */
async function rollingRestart(ensemble: EnsembleOfProcesses, members: readonly EnsembleMember[]): Promise<void> {
  const leader = await ensemble.leader();
  for (const member of [...members.filter((each) => each !== leader), leader]) {
    await member.stop();
    await ensemble.restart(member);
    await ensemble.untilServing([member]);
  }
}

async function expectSame(members: readonly EnsembleMember[], paths: readonly string[]): Promise<void> {
  const [first = {}, ...others] = await Promise.all(members.map(treeOf));
  for (const other of others) expect(other).toEqual(first);
  expect(paths.filter((path) => first[path] === undefined)).toEqual([]);
}

describe('the procedures of docs/ensemble.md', { timeout: 240_000 }, () => {
  it('grow an ensemble from three to five, one server at a time, and shrink it again', async () => {
    await using ensemble = await EnsembleOfProcesses.prepare({ runners: [ours, ours, ours, ours, ours] });
    const { members } = ensemble;
    const three = members.slice(0, 3);
    for (const member of three) await list(member, linesOf(three));
    for (const member of three) await ensemble.restart(member);
    await ensemble.untilServing(three);
    await using writers = await Writers.start(ensemble.connectString, '/written');
    await writers.go(SOME);

    for (const count of [4, 5]) {
      const now = members.slice(0, count);
      for (const member of now) await list(member, linesOf(now));
      const added = ensemble.member(count);
      await ensemble.restart(added);
      await ensemble.untilServing([added]);
      await rollingRestart(
        ensemble,
        now.filter((member) => member !== added),
      );
      await ensemble.untilServing(now);
      await untilWhole(now);
      expect(await (await ensemble.leader()).monitored('quorum_size')).toBe(count);
      await writers.go(SOME);
    }

    // Of five, any two may go.
    const leader = await ensemble.leader();
    const gone = [leader, ensemble.others(leader)[0] as EnsembleMember];
    for (const member of gone) await member.kill();
    await writers.go(SOME);
    for (const member of gone) await ensemble.restart(member);
    await untilWhole(members);

    for (const count of [4, 3]) {
      const now = members.slice(0, count);
      await ensemble.member(count + 1).stop();
      for (const member of now) await list(member, linesOf(now));
      await rollingRestart(ensemble, now);
      await untilWhole(now);
      expect(await (await ensemble.leader()).monitored('quorum_size')).toBe(count);
      await writers.go(SOME);
    }
    await expectSame(three, await writers.stop());
  });

  it('put a server on a new machine, under its old number', async () => {
    // The fourth folder, with other ports, is the new machine.
    await using ensemble = await EnsembleOfProcesses.prepare({ runners: [ours, ours, ours, ours] });
    const [one, two, old, replacement] = ensemble.members as EnsembleMember[] & { readonly length: 4 };
    if (one === undefined || two === undefined || old === undefined || replacement === undefined)
      throw new Error('four');
    for (const member of [one, two, old]) await list(member, linesOf([one, two, old]));
    for (const member of [one, two, old]) await ensemble.restart(member);
    await ensemble.untilServing([one, two, old]);
    await using writers = await Writers.start(ensemble.connectString, '/written');
    await writers.go(SOME);

    await untilWhole([one, two, old]);
    await old.stop();
    await writeFile(join(replacement.folder, 'data', 'myid'), '3\n');
    for (const member of [one, two, replacement]) await list(member, linesOf([one, two, replacement], [1, 2, 3]));
    await ensemble.restart(replacement);
    await ensemble.untilServing([replacement]);
    await untilWhole([one, two, replacement]);
    await writers.go(SOME);
    await rollingRestart(ensemble, [one, two]);
    await untilWhole([one, two, replacement]);

    // It can be one of two that go on, also as their leader.
    const leader = await ensemble.leader();
    await leader.kill();
    await writers.go(SOME);
    await ensemble.restart(leader);
    await untilWhole([one, two, replacement]);
    await expectSame([one, two, replacement], await writers.stop());
  });

  it('make an ensemble of a server that was alone', async () => {
    await using ensemble = await EnsembleOfProcesses.prepare({ runners: [ours, ours, ours] });
    const [alone, second, third] = ensemble.members as readonly EnsembleMember[];
    if (alone === undefined || second === undefined || third === undefined) throw new Error('three');
    await list(alone, []);
    await ensemble.restart(alone);
    await ensemble.untilServing([alone]);
    expect(await alone.mode()).toBe('standalone');
    await using client = await connectThrough(alone.connectString);
    await client.create('/kept', { data: 'by one server' });
    await client.close();

    await alone.stop();
    await list(alone, ensemble.memberLines);
    // Not the third one: with the second it would be a quorum that has nothing.
    for (const member of [alone, second]) await ensemble.restart(member);
    await ensemble.untilServing([alone, second]);
    expect(await alone.mode()).toBe('leader');
    await ensemble.restart(third);
    await ensemble.untilServing();
    await expectSame(ensemble.members, ['/kept']);
    // The run log says whose it is, once there are several.
    const log = await alone.output();
    expect(log).toContain(' [myid:] - INFO  - serving on ');
    expect(log).toContain(' [myid:1] - INFO  - this server is leader: ');
  });
});
