/**
 * Ensembles of Apache ZooKeeper 3.8 and our servers together, every server a process. Each mixture has two servers of one kind, which
 * are a majority, and a third of the other kind, which can lead or follow them: so each kind is brought to the other's history in
 * every way there is. In the end all members have the same tree and the same digest.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, EventType } from 'zookeeper-client-ts';
import { CreateMode, OPEN_ACL, operations } from 'zookeeper-protocol-ts';
import {
  connectThrough,
  expectOneDigest,
  expectOneTree,
  SESSION_MS,
  sessionOn,
  Writers,
} from '../integration/ensemble-checks.fixture.ts';
import {
  type EnsembleMember,
  EnsembleOfProcesses,
  ours,
  settingsWith,
} from '../integration/ensemble-processes.fixture.ts';
import { RawConnection } from '../integration/raw-connection.ts';
import { whyNoApacheZooKeeper } from './apache-zookeeper.ts';
import { java } from './ensemble-runners.fixture.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`interop/ensemble is skipped: ${missing}`);

/** More than a leader of either kind keeps in memory for learners that lack it. */
const MANY = 1100;
const FEW = 20;

describe.skipIf(missing !== undefined).each([
  { mixture: '2 of Java and 1 of ours', runners: [java, java, ours], third: 'ours' },
  { mixture: '1 of Java and 2 of ours', runners: [ours, ours, java], third: 'java' },
] as const)('an ensemble, $mixture,', ({ runners, third }) => {
  let ensemble: EnsembleOfProcesses;
  const acknowledged: string[] = [];
  let folders = 0;

  beforeAll(async () => {
    ensemble = await EnsembleOfProcesses.start({ runners, settings: settingsWith('snapshotSizeFactor=-1') });
  });
  afterAll(() => ensemble?.stop());

  const write = (): Promise<Writers> => Writers.start(ensemble.connectString, `/run-${++folders}`);

  /** Changes one znode so often, as fast as it goes. */
  async function change(member: EnsembleMember, times: number): Promise<void> {
    const connection = await sessionOn(member);
    const path = `/changes-${++folders}`;
    const created = connection.call(operations.create, { path, data: null, acl: OPEN_ACL, flags: 0 });
    const sets = Array.from({ length: times }, (_, i) =>
      connection.call(operations.setData, { path, data: Buffer.from(`${i}`), version: i }),
    );
    for (const reply of await Promise.all([created, ...sets])) expect(reply.err).toBe(0);
    acknowledged.push(path);
    await connection.call(operations.closeSession, undefined);
    connection.destroy();
  }

  it('serves writes, ephemerals, watches, multis and TTLs on every member, and shows them on all others', async () => {
    const clients = await Promise.all(ensemble.members.map((member) => connectThrough(member.connectString)));
    for (const [index, client] of clients.entries()) {
      const path = `/life-${index}`;
      const other = clients[(index + 1) % clients.length];
      if (other === undefined) throw new Error('three clients');
      const events: EventType[] = [];
      await other.checkExists(path, { watcher: ({ type }) => events.push(type) });
      await client.create(path, { data: 'first' });
      await expect.poll(() => events).toEqual([EventType.NodeCreated]);
      await client.setData(path, 'second');
      const sequential = await client.create(`${path}/s-`, { mode: 'PERSISTENT_SEQUENTIAL' });
      expect(sequential).toBe(`${path}/s-0000000000`);
      await client.create(`${path}/ephemeral`, { mode: 'EPHEMERAL' });
      await client.create(`${path}/ttl`, { mode: 'PERSISTENT_WITH_TTL', ttlMs: 3_600_000 });
      await client.create(`${path}/container`, { mode: 'CONTAINER' });
      await client.create(`${path}/container/child`);
      await client.transaction([
        client.op.check(path, { version: 1 }),
        client.op.create(`${path}/multi`, { data: 'm' }),
        client.op.delete(sequential),
      ]);
      await expect(
        client.transaction([client.op.create(`${path}/never`), client.op.check(path, { version: 99 })]),
      ).rejects.toThrow();
      await other.sync(path);
      expect((await other.getChildren(path)).sort()).toEqual(['container', 'ephemeral', 'multi', 'ttl']);
      expect((await other.checkExists(`${path}/ephemeral`))?.ephemeralOwner).toBe(client.sessionId);
      acknowledged.push(path, `${path}/multi`, `${path}/ttl`);
    }
    await expectOneTree(ensemble, acknowledged);
    await Promise.all(clients.map((client) => client.close()));
    const tree = await expectOneTree(ensemble, acknowledged);
    expect(Object.keys(tree).filter((path) => path.endsWith('/ephemeral'))).toEqual([]);
  });

  it('lets a session move between servers of both kinds, with its ephemerals', async () => {
    const first = await RawConnection.withSession(ensemble.member(1).clientPort, { timeoutMs: SESSION_MS });
    const create = { path: '/moving', data: null, acl: OPEN_ACL, flags: CreateMode.EPHEMERAL };
    expect((await first.connection.call(operations.create, create)).err).toBe(0);
    const { sessionId, password } = first.session;
    let former = first.connection;
    for (const id of [3, 2, 3, 1]) {
      const moved = await RawConnection.open(ensemble.member(id).clientPort);
      const session = await moved.connect({ sessionId, password, timeoutMs: SESSION_MS });
      expect(session.sessionId).toBe(sessionId);
      const exists = await moved.call(operations.exists, { path: '/moving', watch: false });
      expect(exists.body?.stat.ephemeralOwner).toBe(sessionId);
      expect((await moved.call(operations.setData, { path: '/moving', data: null, version: -1 })).err).toBe(0);
      former.destroy();
      former = moved;
    }
    await former.call(operations.closeSession, undefined);
    former.destroy();
  });

  it('lets sessions live while their clients are heard through any member, and expires those that are not', async () => {
    const sessionTimeoutMs = 3000;
    const idle = await Promise.all(
      ensemble.members.map(({ connectString }) => connect(connectString, { sessionTimeoutMs })),
    );
    const sessions = idle.map(({ sessionId }) => sessionId);
    for (const [index, client] of idle.entries()) await client.create(`/idle-${index}`, { mode: 'EPHEMERAL' });
    for (const { id, clientPort } of ensemble.members) {
      const { connection } = await RawConnection.withSession(clientPort, { timeoutMs: sessionTimeoutMs });
      const gone = { path: `/gone-${id}`, data: null, acl: OPEN_ACL, flags: CreateMode.EPHEMERAL };
      expect((await connection.call(operations.create, gone)).err).toBe(0);
      connection.destroy();
    }
    const [watcher] = idle;
    for (const { id } of ensemble.members) {
      await expect.poll(() => watcher?.checkExists(`/gone-${id}`), { timeout: 30_000 }).toBeUndefined();
    }
    // By then the others would have been over twice, if nobody had said that they are heard.
    await sleep(sessionTimeoutMs);
    expect(idle.map(({ sessionId }) => sessionId)).toEqual(sessions);
    for (const [index] of idle.entries()) {
      expect((await watcher?.checkExists(`/idle-${index}`))?.ephemeralOwner).toBe(sessions[index]);
    }
    await Promise.all(idle.map((client) => client.close()));
  });

  it('keeps sessions, ephemerals, watches and every acknowledged write when each leader in turn is killed', async () => {
    await using writers = await write();
    const client = await connectThrough(ensemble.connectString);
    const { sessionId } = client;
    const path = await client.create('/kept', { mode: 'EPHEMERAL' });
    const events: EventType[] = [];
    await client.checkExists(path, { watcher: ({ type }) => type !== EventType.None && events.push(type) });
    const killed = new Set<number>();
    for (let round = 0; round < 4 && killed.size < 2; round++) {
      await writers.go(FEW);
      const leader = await ensemble.leader();
      await leader.kill();
      killed.add(leader.id);
      await writers.go(FEW);
      await ensemble.restart(leader);
      await ensemble.untilServing();
    }
    expect((await client.checkExists(path))?.ephemeralOwner).toBe(sessionId);
    expect(client.sessionId).toBe(sessionId);
    await client.setData(path, 'seen');
    await expect.poll(() => events).toEqual([EventType.NodeDataChanged]);
    await client.close();
    acknowledged.push(...(await writers.stop()));
    await expectOneTree(ensemble, acknowledged);
  });

  /** What the third has said since then. */
  async function sinceThen(member: EnsembleMember, before: number): Promise<string> {
    return (await member.output()).slice(before);
  }

  const LEARNS = {
    java: {
      diff: 'Getting a diff from the leader',
      snap: 'Getting a snapshot from leader',
      trunc: 'Truncating log to get in sync with the leader',
    },
    ours: { snap: 'the leader sends a snapshot', trunc: 'the history is cut behind' },
  } as const;

  it(`brings the third, ${third}, to the history of the others by DIFF`, async () => {
    const [one, two, three] = [ensemble.member(1), ensemble.member(2), ensemble.member(3)];
    await three.kill();
    await ensemble.untilServing([one, two]);
    await change(one, FEW);
    const before = (await three.output()).length;
    await ensemble.restart(three);
    await expectOneTree(ensemble, acknowledged);
    const said = await sinceThen(three, before);
    if (third === 'java') expect(said).toContain(LEARNS.java.diff);
    else for (const kind of ['snap', 'trunc'] as const) expect(said).not.toContain(LEARNS.ours[kind]);
  });

  it(`brings the third, ${third}, to the history of the others by SNAP`, async () => {
    const [one, two, three] = [ensemble.member(1), ensemble.member(2), ensemble.member(3)];
    await three.kill();
    await ensemble.untilServing([one, two]);
    await change(two, MANY);
    const before = (await three.output()).length;
    await ensemble.restart(three);
    await expectOneTree(ensemble, acknowledged);
    expect(await sinceThen(three, before)).toContain(LEARNS[third].snap);
  });

  it(`lets the third, ${third}, forget by TRUNC what it logged as a leader and nobody else had`, async () => {
    const [one, two, three] = [ensemble.member(1), ensemble.member(2), ensemble.member(3)];
    // The largest id leads when all have the same history.
    await ensemble.stopAll();
    await ensemble.restart(three);
    await ensemble.restart(one);
    await ensemble.untilServing([one, three]);
    await ensemble.restart(two);
    await ensemble.untilServing();
    expect((await ensemble.leader()).id).toBe(3);
    await change(three, FEW);
    const connection = await sessionOn(three);
    one.pause();
    two.pause();
    const data = Buffer.from('nobody else has heard of this');
    const lonely = connection.call(operations.create, { path: '/lonely', data, acl: OPEN_ACL, flags: 0 });
    await expect.poll(() => logsOf(three), { interval: 20 }).toContain(data.toString());
    await three.kill();
    await expect(lonely).rejects.toThrow('closed');
    // They must not read it either, from what waits in their sockets.
    await Promise.all([one.kill(), two.kill()]);
    await Promise.all([ensemble.restart(one), ensemble.restart(two)]);
    await ensemble.untilServing([one, two]);
    // Nothing is written meanwhile: whose last transaction is of a former epoch than theirs, a leader would send it SNAP.
    const before = (await three.output()).length;
    await ensemble.restart(three);
    const tree = await expectOneTree(ensemble, acknowledged);
    expect(tree['/lonely']).toBeUndefined();
    expect(await sinceThen(three, before)).toContain(LEARNS[third].trunc);
    expect(await logsOf(three)).not.toContain(data.toString());
  });

  it('has the same digest on every disk in the end', async () => {
    await expectOneDigest(ensemble);
  });
});

/** All that is in a member's transaction logs. */
async function logsOf(member: EnsembleMember): Promise<string> {
  const folder = join(member.folder, 'data', 'version-2');
  const names = (await readdir(folder)).filter((name) => name.startsWith('log.'));
  return (await Promise.all(names.map((name) => readFile(join(folder, name), 'latin1')))).join('');
}
