/**
 * Leader election against the originals: the real client and recipes on a real Apache ZooKeeper, and Java Curator's recipes
 * as the other contender on the same path. The Java side is `cross-peer.sh` of the folder INTEROP_DIR (by default
 * `../shared/interop` beside the repository); without it the tests are skipped.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  CuratorFramework,
  connect,
  ExponentialBackoffRetry,
  type FrameworkOptions,
  KeeperState,
  ZooKeeper,
} from 'zookeeper-client-ts';
import { LeaderLatch, LeaderSelector, type Ownership } from 'zookeeper-recipes-ts';
import { type ApacheZooKeeper, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';

const interopDir = process.env.INTEROP_DIR ?? fileURLToPath(new URL('../../../shared/interop', import.meta.url));
const crossPeer = `${interopDir}/cross-peer.sh`;

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

let server: ApacheZooKeeper;

/** What a test has opened, the latest first. */
const opened: (() => unknown)[] = [];

const POLL = { interval: 10, timeout: 20_000 };

const OPTIONS: FrameworkOptions = { sessionTimeoutMs: 10_000, retry: new ExponentialBackoffRetry(100, 3) };

async function newClient(
  connectString = server.connectString,
  options: FrameworkOptions = OPTIONS,
): Promise<CuratorFramework> {
  const client = await connect(connectString, options);
  opened.push(() => client.close());
  return client;
}

/** A path of its own for each test. */
let paths = 0;
const newPath = () => `/election-${++paths}`;

async function newLatch(
  path: string,
  id: string,
  connected: Promise<CuratorFramework> = newClient(),
): Promise<{ client: CuratorFramework; latch: LeaderLatch }> {
  const client = await connected;
  const latch = new LeaderLatch(client, path, { id }).start();
  opened.push(() => latch.close());
  return { client, latch };
}

/** Ends a session as its owner would, behind its client's back. */
async function killSession(client: CuratorFramework): Promise<void> {
  const { sessionId: id, sessionPassword: password } = client.zookeeper;
  const twin = new ZooKeeper({ connectString: server.connectString, session: { id, password } });
  await new Promise<void>((resolve) => {
    twin.on('session', (state) => {
      if (state === KeeperState.SyncConnected) resolve();
    });
  });
  await twin.close();
}

const aborted = ({ signal }: Ownership): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve());
  });

/** Waits until the path has that many children. */
async function untilChildren(client: CuratorFramework, path: string, count: number): Promise<string[]> {
  for (;;) {
    let changed: () => void = () => undefined;
    const change = new Promise<void>((resolve) => {
      changed = resolve;
    });
    const exists = await client.checkExists(path, { watcher: changed });
    const children = exists ? await client.getChildren(path, { watcher: changed }) : [];
    if (children.length === count) return children;
    await change;
  }
}

describe.skipIf(missing !== undefined)('leader election', () => {
  beforeAll(async () => {
    server = await startApacheZooKeeper();
  });
  afterAll(() => server.stop());
  afterEach(async () => {
    for (const close of opened.splice(0).reverse()) await close();
  });

  describe('LeaderLatch', () => {
    it('the first leads, and the next one takes over when it closes', async () => {
      const path = newPath();
      const a = await newLatch(path, 'a');
      const first = await a.latch.leadership();
      const b = await newLatch(path, 'b');
      await untilChildren(a.client, path, 2);
      expect(b.latch.hasLeadership).toBe(false);
      expect(await b.latch.getParticipants()).toEqual([
        { id: 'a', isLeader: true },
        { id: 'b', isLeader: false },
      ]);
      expect(await b.latch.getLeader()).toEqual({ id: 'a', isLeader: true });
      await a.latch.close();
      const second = await b.latch.leadership();
      expect(first.signal.aborted).toBe(true);
      expect(second.token).toBeGreaterThan(first.token);
      expect((await b.client.getData(second.path)).stat).toMatchObject({
        czxid: second.token,
        ephemeralOwner: second.sessionId,
      });
    });

    it('when its session is killed, its signal fires, another leads, and it stands in line again', async () => {
      const path = newPath();
      const a = await newLatch(path, 'a');
      const first = await a.latch.leadership();
      const b = await newLatch(path, 'b');
      await untilChildren(b.client, path, 2);
      await killSession(a.client);
      await aborted(first);
      const second = await b.latch.leadership();
      expect(second.isHeld()).toBe(true);
      await untilChildren(b.client, path, 2);
      await b.latch.close();
      const third = await a.latch.leadership();
      expect(third.token).toBeGreaterThan(second.token);
      expect(third.sessionId).not.toBe(first.sessionId);
    });

    it('when its connection breaks and its session survives, it leads again with the same znode', async () => {
      const path = newPath();
      const network = await startProxy();
      const { latch } = await newLatch(path, 'a', newClient(network.connectString));
      const first = await latch.leadership();
      network.cut();
      await aborted(first);
      expect(first.signal.reason).toMatchObject({ reason: 'SUSPENDED' });
      const second = await latch.leadership();
      expect(second.isHeld()).toBe(true);
      expect(second.path).toBe(first.path);
      expect(second.token).toBe(first.token);
    });

    it('when the server restarts and knows its session, it leads again with the same znode', async () => {
      const path = newPath();
      const { latch } = await newLatch(path, 'a');
      const first = await latch.leadership();
      await server.kill();
      await aborted(first);
      await server.restart();
      const second = await latch.leadership();
      expect(second.isHeld()).toBe(true);
      expect(second.token).toBe(first.token);
    });

    it('when it is cut off, its signal fires before another leads, even if it rides out what it can', async () => {
      const path = newPath();
      const network = await startProxy();
      const options: FrameworkOptions = { ...OPTIONS, sessionTimeoutMs: 4_000, connectionStateErrorPolicy: 'session' };
      const a = await newLatch(path, 'a', newClient(network.connectString, options));
      const first = await a.latch.leadership();
      const b = await newLatch(path, 'b');
      await untilChildren(b.client, path, 2);
      const events: string[] = [];
      first.signal.addEventListener('abort', () => events.push('a leads no more'));
      b.latch.on('leader', () => events.push('b leads'));
      network.freeze();
      await b.latch.leadership();
      expect(events).toEqual(['a leads no more', 'b leads']);
      network.cut();
    });

    it('its signal fires when somebody deletes its znode, and it makes a new one', async () => {
      const path = newPath();
      const { latch } = await newLatch(path, 'a');
      const first = await latch.leadership();
      const vandal = await newClient();
      await vandal.setData(first.path, 'scribble');
      expect(first.isHeld()).toBe(true);
      await vandal.delete(first.path);
      await aborted(first);
      expect(first.signal.reason).toMatchObject({ reason: 'NODE_DELETED' });
      expect((await latch.leadership()).token).toBeGreaterThan(first.token);
    });

    it('may be started before its client, and in a namespace', async () => {
      const client = CuratorFramework.builder()
        .connectString(server.connectString)
        .retryPolicy(new ExponentialBackoffRetry(100, 3))
        .namespace('apps')
        .build();
      opened.push(() => client.close());
      const path = newPath();
      const latch = new LeaderLatch(client, path).start();
      const leading = latch.leadership();
      client.start();
      expect((await leading).path.startsWith(`${path}/_c_`)).toBe(true);
      await client.delete((await leading).path);
      await aborted(await leading);
      await latch.leadership();
      await latch.close();
    });

    it('given up while it waits, and closed, it leaves no znode behind', async () => {
      const path = newPath();
      const a = await newLatch(path, 'a');
      await a.latch.leadership();
      const b = await newLatch(path, 'b');
      const stop = new AbortController();
      const waiting = b.latch.leadership({ signal: stop.signal });
      await untilChildren(a.client, path, 2);
      stop.abort('enough');
      await expect(waiting).rejects.toBe('enough');
      await b.latch.close();
      expect(await a.client.getChildren(path)).toHaveLength(1);
    });

    it('closed while it starts, it leaves no znode behind', async () => {
      const path = newPath();
      const client = await newClient();
      await client.create(path);
      for (let turns = 0; turns < 8; turns++) {
        const latch = new LeaderLatch(client, path).start();
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
        await latch.close();
      }
      await untilChildren(client, path, 0);
    });
  });

  describe('LeaderSelector', () => {
    it('takes turns; when the session of the one who leads is killed, it is interrupted and the other leads', async () => {
      const path = newPath();
      const turns: string[] = [];
      const enter = async (id: string) => {
        const client = await newClient();
        let current: Ownership | undefined;
        const selector = new LeaderSelector(
          client,
          path,
          {
            takeLeadership: async (_client, leadership) => {
              current = leadership;
              turns.push(id);
              await aborted(leadership);
            },
          },
          { id },
        )
          .autoRequeue()
          .start();
        opened.push(() => selector.close());
        return { client, selector, leadership: () => current };
      };
      const a = await enter('a');
      await untilChildren(a.client, path, 1);
      const b = await enter('b');
      await untilChildren(a.client, path, 2);
      a.selector.interruptLeadership();
      await expect.poll(() => turns, POLL).toEqual(['a', 'b']);
      await untilChildren(a.client, path, 2);
      await killSession(b.client);
      await expect.poll(() => turns, POLL).toEqual(['a', 'b', 'a']);
      expect(b.leadership()?.signal.reason).toMatchObject({ code: 'OWNERSHIP_LOST' });
      expect(a.selector.hasLeadership).toBe(true);
      expect(b.selector.hasLeadership).toBe(false);
    });
  });

  describe('with Java Curator on the same path', () => {
    it('LeaderLatch: each takes over from the other, and both see the same participants', async () => {
      const path = newPath();
      const ours = await newLatch(path, 'ours');
      const first = await ours.latch.leadership();
      const java = startPeer('latch', path, 'java');
      await java.line('STARTED');
      await untilChildren(ours.client, path, 2);
      expect(await ours.latch.getParticipants()).toEqual([
        { id: 'ours', isLeader: true },
        { id: 'java', isLeader: false },
      ]);
      java.say('participants');
      expect((await java.line('PARTICIPANTS')).details).toBe('*ours,java');

      await ours.latch.close();
      await java.line('LEADER');
      expect(first.signal.aborted).toBe(true);

      const again = await newLatch(path, 'ours again');
      await untilChildren(ours.client, path, 2);
      expect(again.latch.hasLeadership).toBe(false);
      expect(await again.latch.getLeader()).toEqual({ id: 'java', isLeader: true });
      java.say('close');
      await java.line('CLOSED');
      const second = await again.latch.leadership();
      expect(second.token).toBeGreaterThan(first.token);
    });

    it('LeaderSelector: they lead in turns, and never at the same time', async () => {
      const path = newPath();
      const client = await newClient();
      const ours: { from: number; to: number }[] = [];
      let finish: () => void = () => undefined;
      const selector = new LeaderSelector(
        client,
        path,
        {
          takeLeadership: async (_client, leadership) => {
            const turn = { from: Date.now(), to: Number.POSITIVE_INFINITY };
            ours.push(turn);
            const finished = new Promise<void>((resolve) => {
              finish = resolve;
            });
            await Promise.race([finished, aborted(leadership)]);
            turn.to = Date.now();
          },
        },
        { id: 'ours' },
      );
      opened.push(() => selector.close());
      selector.autoRequeue().start();
      await expect.poll(() => ours.length, POLL).toBe(1);

      const java = startPeer('selector', path, 'java', '300', '2');
      const theirs: { from: number; to: number }[] = [];
      for (let turn = 1; turn <= 2; turn++) {
        await untilChildren(client, path, 2);
        expect((await selector.getParticipants()).map(({ id }) => id)).toEqual(['ours', 'java']);
        finish();
        const from = (await java.line('LEADER')).at;
        expect(await selector.getLeader()).toEqual({ id: 'java', isLeader: true });
        theirs.push({ from, to: (await java.line('YIELD')).at });
        await expect.poll(() => ours.length, POLL).toBe(turn + 1);
      }
      for (const mine of ours) {
        for (const other of theirs) expect(mine.to <= other.from || other.to <= mine.from).toBe(true);
      }
      finish();
      await java.line('BYE');
    });
  });
});

/** A way to the server that breaks when the test says so. */
async function startProxy(): Promise<{ connectString: string; cut(): void; freeze(): void }> {
  const [host = '', port = ''] = server.connectString.split(':');
  const sockets = new Set<Socket>();
  let isFrozen = false;
  const proxy = createServer((near) => {
    const far = createConnection({ host, port: Number(port) });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => {
        if (!isFrozen) to.write(bytes);
      });
      from.on('close', () => to.destroy());
      // 'close' follows, and says all there is to say.
      from.on('error', () => undefined);
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  opened.push(() => {
    proxy.close();
    cut();
  });
  return {
    connectString: `127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    /** Breaks all connections; new ones work. */
    cut,
    /** Nothing arrives any more, either way, on any connection. */
    freeze: () => {
      isFrozen = true;
    },
  };
}

interface PeerLine {
  readonly at: number;
  readonly details: string;
}

/** A Java program with one Curator recipe. It says `WORD EPOCH_MS details`, line by line. */
function startPeer(...args: string[]): { line(word: string): Promise<PeerLine>; say(command: string): void } {
  const peer: ChildProcess = spawn(crossPeer, args, {
    env: { ...process.env, ZK_HOSTS: server.connectString },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  opened.push(() => peer.kill());
  const { stdin, stdout } = peer;
  if (stdin === null || stdout === null) throw new Error('both are pipes');
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return {
    /** The next line with that word; those before it are passed over. */
    line: async (word) => {
      for (let next = await lines.next(); !next.done; next = await lines.next()) {
        const [said, at, ...details] = next.value.split(' ');
        if (said === 'ERROR' || said === 'TIMEOUT') throw new Error(next.value);
        if (said === word) return { at: Number(at), details: details.join(' ') };
      }
      throw new Error(`the peer has ended without ${word}`);
    },
    say: (command) => void stdin.write(`${command}\n`),
  };
}
