/**
 * Our peer program and Java Curator's, two processes on the same paths of a real Apache ZooKeeper: what one can only see with processes.
 * One of them is stopped past its session timeout while it holds; the other gets what it held, and the first knows when it goes on.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ApacheZooKeeper, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';
import { CrossPeer, OwnPeer } from './cross-peer.fixture.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

let server: ApacheZooKeeper;
const peers: CrossPeer[] = [];

function start(Peer: typeof CrossPeer, ...args: readonly string[]): CrossPeer {
  const peer = new Peer(server.connectString, ...args);
  peers.push(peer);
  return peer;
}

describe.skipIf(missing !== undefined)('our peer beside that of Java Curator', () => {
  beforeAll(async () => {
    server = await startApacheZooKeeper();
    process.env.SESSION_MS = '3000';
  });
  afterAll(async () => {
    delete process.env.SESSION_MS;
    await server?.stop();
  });
  afterEach(async () => {
    await Promise.all(peers.splice(0).map((peer) => peer[Symbol.asyncDispose]()));
  });

  it('what our process holds while it is stopped past its session goes to Java, and ours knows, of all locks', async () => {
    const locks = [
      ['lock', '/frozen/lock', '-1'],
      ['rwlock', 'write', '/frozen/rw', '-1'],
      ['semaphore', '/frozen/semaphore', '1', '-1'],
      ['semmutex', '/frozen/semmutex', '-1'],
      ['multilock', '/frozen/m1,/frozen/m2', '-1'],
    ];
    const handOvers = locks.map(async (args) => {
      const ours = start(OwnPeer, ...args);
      await ours.line('TOKEN');
      const theirs = start(CrossPeer, ...args);
      await theirs.line('WAITING');
      ours.signal('SIGSTOP');
      const { at } = await theirs.line('ACQUIRED');
      ours.signal('SIGCONT');
      const lost = await ours.line('LOST');
      ours.say('held');
      expect((await ours.line('HELD')).details).toBe('false');
      expect(lost.at).toBeGreaterThanOrEqual(at);
      expect(['LEASE_ENDED', 'LOST', 'SUSPENDED']).toContain(lost.details);
    });
    await Promise.all(handOvers);
  });

  it('multilock: each waits for the other', async () => {
    const args = ['multilock', '/turns/m1,/turns/m2', '-1'];
    const ours = start(OwnPeer, ...args);
    await ours.line('ACQUIRED');
    const theirs = start(CrossPeer, ...args);
    await theirs.line('WAITING');
    ours.say();
    const released = await ours.line('RELEASING');
    expect((await theirs.line('ACQUIRED')).at).toBeGreaterThanOrEqual(released.at);
    const again = start(OwnPeer, ...args);
    await again.line('WAITING');
    theirs.say();
    const releasing = await theirs.line('RELEASING');
    expect((await again.line('ACQUIRED')).at).toBeGreaterThanOrEqual(releasing.at);
  });

  it('latch: the leadership of a process that is stopped goes to Java, and comes back when Java closes', async () => {
    const ours = start(OwnPeer, 'latch', '/frozen/latch', 'ours');
    await ours.line('TOKEN');
    const theirs = start(CrossPeer, 'latch', '/frozen/latch', 'theirs');
    await theirs.line('STARTED');
    ours.signal('SIGSTOP');
    const { at } = await theirs.line('LEADER');
    ours.signal('SIGCONT');
    expect((await ours.line('LOST')).at).toBeGreaterThanOrEqual(at);
    await ours.line('NOTLEADER');
    theirs.say('close');
    await theirs.line('CLOSED');
    await ours.line('LEADER');
    ours.say('state');
    expect((await ours.line('HAS')).details).toBe('true');
  });

  it('both tell the same of the same services', async () => {
    const register = ['discovery', 'register', '/services', 'svc'];
    const ours = start(OwnPeer, ...register, 'ours', '10.0.0.1', '1', 'a');
    const theirs = start(CrossPeer, ...register, 'theirs', '10.0.0.2', '2', 'b');
    await Promise.all([ours.line('REGISTERED'), theirs.line('REGISTERED')]);
    const tellings = [OwnPeer, CrossPeer].map(async (Peer) => {
      const peer = start(Peer, 'discovery', 'list', '/services', 'svc');
      return [await peer.line('INSTANCE'), await peer.line('INSTANCE'), await peer.line('COUNT')].map(
        (line) => line.details,
      );
    });
    const [told, toldByJava] = await Promise.all(tellings);
    expect(told).toEqual(toldByJava);
  });
});
