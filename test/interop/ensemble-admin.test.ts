/**
 * What an administrator is told of an ensemble, by servers of ours and by Apache ZooKeepers: three voters and an observer of each kind,
 * asked the same, and the answers compared with only numbers, addresses and times taken out.
 */
import { existsSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type EnsembleMember,
  EnsembleOfProcesses,
  freePorts,
  ours,
  type Runner,
} from '../integration/ensemble-processes.fixture.ts';
import { HTTP_JARS, whyNoApacheZooKeeper } from './apache-zookeeper.ts';

const jars = '/usr/share/java';
const missing = whyNoApacheZooKeeper() ?? HTTP_JARS.find((jar) => !existsSync(jar));
if (missing !== undefined) console.warn(`interop/ensemble-admin is skipped for want of ${missing}`);

/** `zk-server.sh` runs it without the classes of its AdminServer. */
const javaWithHttp: Runner = (zooCfg) => [
  ...['java', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
  ...['-cp', [`${jars}/zookeeper.jar`, `${jars}/slf4j-nop.jar`, ...HTTP_JARS].join(':')],
  ...['org.apache.zookeeper.server.quorum.QuorumPeerMain', zooCfg],
];

const OBSERVER = 4;
type Role = 'leader' | 'follower' | 'observer';

/** An ensemble of one kind, and where each server tells about itself. */
class Subject {
  readonly ensemble: EnsembleOfProcesses;
  readonly #adminPorts: readonly number[];

  private constructor(ensemble: EnsembleOfProcesses, adminPorts: readonly number[]) {
    this.ensemble = ensemble;
    this.#adminPorts = adminPorts;
  }

  static async start(runner: Runner): Promise<Subject> {
    const runners = [runner, runner, runner, runner];
    const ensemble = await EnsembleOfProcesses.prepare({ runners, observers: [OBSERVER] });
    const adminPorts = await freePorts(runners.length);
    for (const [i, { folder }] of ensemble.members.entries()) {
      const lines = ['enableServer=true', 'serverAddress=127.0.0.1', `serverPort=${adminPorts[i]}`];
      await appendFile(join(folder, 'zoo.cfg'), lines.map((line) => `admin.${line}\n`).join(''));
    }
    const subject = new Subject(ensemble, adminPorts);
    await ensemble.startAll();
    return subject;
  }

  async member(role: Role): Promise<EnsembleMember> {
    for (const member of this.ensemble.members) if ((await member.mode()) === role) return member;
    throw new Error(`there is no ${role}`);
  }

  /** A command of the AdminServer. */
  async commandOf({ id }: EnsembleMember, name: string): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.#adminPorts[id - 1]}/commands/${name}`);
    return response.text();
  }

  async word(role: Role, word: string): Promise<string> {
    return (await this.member(role)).ask(word);
  }
}

let subjects: { readonly apache: Subject; readonly ours: Subject };

beforeAll(async () => {
  if (missing !== undefined) return;
  const [apache, own] = await Promise.all([Subject.start(javaWithHttp), Subject.start(ours)]);
  subjects = { apache, ours: own };
}, 120_000);

afterAll(async () => {
  if (missing !== undefined) return;
  await Promise.all([subjects.apache.ensemble.stop(), subjects.ours.ensemble.stop()]);
});

const shape = (text: string): string =>
  text
    .replace(/: "0x[0-9a-f]+"/g, ': HEX')
    .replace(/"\/?(?:127\.0\.0\.1|0\.0\.0\.0):\d+"/g, 'ADDRESS')
    .replace(/: "(?:[^"\\]|\\.)*"/g, ': "TEXT"')
    .replace(/(?<![\w"])-?\d+(?!\w)/g, 'N');

const ROLES = ['leader', 'follower', 'observer'] as const;

describe.skipIf(missing !== undefined)('in an ensemble', () => {
  test.each(
    ROLES.flatMap((role) => ['zabstate', 'observers', 'leader', 'voting_view'].map((name) => [name, role] as const)),
  )('the command %s of a %s has the fields, order and form of the original', async (name, role) => {
    const asked = await subjects.apache.member(role);
    const theirs = await subjects.apache.commandOf(asked, name);
    // Of all client addresses it tells the one of whoever is asked; who leads is not the same in both when a server was slow to start.
    const own = name === 'voting_view' ? subjects.ours.ensemble.member(asked.id) : await subjects.ours.member(role);
    expect(shape(await subjects.ours.commandOf(own, name))).toBe(shape(theirs));
  });

  test.each(ROLES)('mntr of a %s has no name that the original has not, and all about the ensemble', async (role) => {
    const namesIn = (text: string): string[] => text.split('\n').map((line) => line.split('\t')[0] ?? '');
    const theirs = namesIn(await subjects.apache.word(role, 'mntr'));
    const own = namesIn(await subjects.ours.word(role, 'mntr'));
    expect(own.filter((name) => !theirs.includes(name))).toEqual([]);
    const aboutEnsemble =
      /^zk_(quorum_size|peer_state|leader_uptime|learners|synced_\w+|pending_syncs|observer_master_id|\w+_proposal_size)$/;
    expect(theirs.filter((name) => aboutEnsemble.test(name) && !own.includes(name))).toEqual([]);
  });

  test.each(ROLES)('conf of a %s has the lines of the original', async (role) => {
    const lines = (text: string): string =>
      text
        .replace(/(?<==|:)\d{4,5}/g, 'N')
        .replace(/(Size|serverId|quorumPort|electionPort)=\d+/g, '$1=N')
        .replace(/=\/.*/g, '=FOLDER');
    expect(lines(await subjects.ours.word(role, 'conf'))).toBe(lines(await subjects.apache.word(role, 'conf')));
  });

  test('a server without a leader says so to every command but those about itself', async () => {
    const answers = await Promise.all(
      Object.values(subjects).map(async (subject) => {
        const [one, two, three] = subject.ensemble.members as readonly EnsembleMember[];
        if (one === undefined || two === undefined || three === undefined) throw new Error('three voters');
        await Promise.all([one.kill(), two.kill()]);
        await expect.poll(() => three.mode(), { timeout: 30_000 }).toBe('none');
        const names = ['leader', 'observers', 'voting_view', 'ruok', 'server_stats', 'last_snapshot'];
        return Promise.all(names.map((name) => subject.commandOf(three, name)));
      }),
    );
    expect(answers[1]).toEqual(answers[0]);
    const { members } = subjects.ours.ensemble;
    const looking = await subjects.ours.commandOf(members[2] as EnsembleMember, 'zabstate');
    // The original says nothing here; whoever asks wants to know.
    expect(JSON.parse(looking)).toMatchObject({ myid: 3, is_leader: false, zabstate: 'election' });
  });
});
