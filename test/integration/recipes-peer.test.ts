/** The peer program (`examples/peer`), each of its commands on a server of ours: what it says, in the words of its Java counterpart. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type CuratorFramework, connect, RetryNTimes } from 'zookeeper-client-ts';
import { TestingServer } from 'zookeeper-server-ts/testing';
import { OwnPeer } from '../interop/cross-peer.fixture.ts';

let server: TestingServer;
let client: CuratorFramework;
const peers: OwnPeer[] = [];

const start = (...args: readonly string[]): OwnPeer => {
  const peer = new OwnPeer(server.connectString, ...args);
  peers.push(peer);
  return peer;
};

/** What follows the words, in that order; then it is over. */
async function said(peer: OwnPeer, ...words: readonly string[]): Promise<string[]> {
  const details: string[] = [];
  for (const word of words) details.push((await peer.line(word)).details);
  await peer.line('BYE');
  return details;
}

describe('the peer', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    server = await TestingServer.start();
    client = await connect(server.connectString, { retry: new RetryNTimes(3, 100) });
  });
  afterAll(async () => {
    await client?.close();
    await server?.[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    await Promise.all(peers.splice(0).map((peer) => peer[Symbol.asyncDispose]()));
  });

  it.each([
    ['lock', ['lock', '/lock', '0', '2']],
    ['rwlock', ['rwlock', 'write', '/rw', '0', '2']],
    ['semmutex', ['semmutex', '/semmutex', '0', '2']],
    ['multilock', ['multilock', '/m1,/m2', '0', '2']],
    ['semaphore', ['semaphore', '/semaphore', '3', '0', '2', '1000', '2']],
  ])('%s takes turns, with tokens that rise', async (_name, args) => {
    const peer = start(...args);
    const tokens: bigint[] = [];
    for (const turn of ['0', '1']) {
      expect((await peer.line('WAITING')).details).toBe(turn);
      expect((await peer.line('ACQUIRED')).details).toMatch(new RegExp(`^${turn}`));
      const [first = ''] = (await peer.line('TOKEN')).details.split(' ');
      tokens.push(BigInt(first));
      expect((await peer.line('RELEASED')).details).toBe(turn);
    }
    await peer.line('BYE');
    expect(Number(tokens[1])).toBeGreaterThan(Number(tokens[0]));
  });

  it('a lock is held at that moment or not, is lost when its znode is deleted, and times out behind another', async () => {
    const holder = start('lock', '/held', '-1');
    await holder.line('TOKEN');
    holder.say('held');
    expect((await holder.line('HELD')).details).toBe('true');
    expect((await start('lock', '/held', '0', '1', '100').line('TIMEOUT')).details).toBe('0');
    const [name] = await client.getChildren('/held');
    await client.delete(`/held/${name}`);
    expect((await holder.line('LOST')).details).toBe('NODE_DELETED');
    holder.say('held');
    expect((await holder.line('HELD')).details).toBe('false');
    holder.say();
    await said(holder, 'RELEASED');
  });

  it('latch and selector lead in turns', async () => {
    const latch = start('latch', '/latch', 'a');
    await latch.line('LEADER');
    latch.say('leader');
    latch.say('participants');
    latch.say('state');
    latch.say('close');
    expect(await said(latch, 'LEADERIS', 'PARTICIPANTS', 'HAS', 'CLOSED')).toEqual(['a', '*a', 'true', '']);
    await said(start('selector', '/selector', 'a', '10', '2'), 'STARTED', 'LEADER', 'YIELD', 'LEADER', 'YIELD');
  });

  it('queues give back what was put', async () => {
    await said(start('queue', 'put', '/queue', 'a', 'b'), 'PUT', 'PUT');
    expect(await said(start('queue', 'consume', '/queue', '2', '/queue-locks'), 'ITEM', 'ITEM')).toEqual(['a', 'b']);
    await said(start('idqueue', 'put', '/ids', 'x', 'a'), 'PUT');
    expect(await said(start('idqueue', 'remove', '/ids', 'x'), 'REMOVED')).toEqual(['1']);
    await said(start('pqueue', 'put', '/priorities', '2', 'late', '1', 'early'), 'PUT', 'PUT');
    expect(await said(start('pqueue', 'consume', '/priorities', '2'), 'ITEM', 'ITEM')).toEqual(['early', 'late']);
    await said(start('dqueue', 'put', '/delays', '50', 'a'), 'PUT');
    expect(await said(start('dqueue', 'consume', '/delays', '1'), 'ITEM')).toEqual(['a']);
    await said(start('simplequeue', 'offer', '/simple', 'a', 'b'), 'PUT', 'PUT');
    expect(await said(start('simplequeue', 'take', '/simple', '2'), 'ITEM', 'ITEM')).toEqual(['a', 'b']);
    await said(start('simplequeue', 'poll', '/simple', '10'), 'EMPTY');
  });

  it('barriers open for all', async () => {
    await said(start('barrier', 'set', '/gate'), 'SET');
    const waiting = start('barrier', 'wait', '/gate');
    await waiting.line('WAITING');
    await said(start('barrier', 'remove', '/gate'), 'REMOVED');
    await said(waiting, 'PASSED');
    const both = [1, 2].map(() => start('doublebarrier', '/room', '2', '0'));
    await Promise.all(both.map((peer) => said(peer, 'ENTERING', 'ENTERED', 'LEAVING', 'LEFT')));
  });

  it('counters count', async () => {
    expect(await said(start('counter', 'inc', '/counter', '2'), 'VALUE', 'VALUE')).toEqual(['1', '2']);
    expect(await said(start('counter', 'get', '/counter'), 'VALUE')).toEqual(['2']);
    const watching = start('sharedcount', 'watch', '/count', '1');
    await watching.line('VALUE');
    expect(await said(start('sharedcount', 'set', '/count', '7'), 'VALUE', 'SET')).toEqual(['0', '7']);
    expect(await said(watching, 'CHANGED')).toEqual(['7']);
    expect(await said(start('sharedcount', 'get', '/count'), 'VALUE')).toEqual(['7']);
  });

  it('a member, a node, a cache and a watcher tell what there is', async () => {
    const member = start('member', '/group', 'a', 'one');
    await member.line('STARTED');
    member.say('list');
    member.say('close');
    expect(await said(member, 'MEMBERS')).toEqual(['a=one']);
    const cache = start('cache', '/node');
    const watcher = start('watcher', '/node');
    await Promise.all([cache.line('INITIALIZED'), watcher.line('SET')]);
    const node = start('node', '/node', 'x');
    expect((await node.line('CREATED')).details).toBe('/node');
    // A cache is behind: what has come and gone before it looked, it doesn't tell.
    expect((await cache.line('ADDED')).details).toBe('/node x');
    node.say('data y');
    await node.line('SET');
    expect((await cache.line('CHANGED')).details).toBe('/node y');
    node.say('close');
    await said(node);
    expect((await cache.line('REMOVED')).details).toBe('/node');
    for (const event of ['NodeCreated', 'NodeDataChanged', 'NodeDeleted'])
      expect((await watcher.line('EVENT')).details).toBe(`${event} /node`);
    for (const peer of [cache, watcher]) {
      peer.say('close');
      await said(peer);
    }
  });

  it('a service is registered, found and watched', async () => {
    const watching = start('discovery', 'watch', '/services', 'svc');
    expect((await watching.line('CACHE')).details).toBe('');
    const registered = start('discovery', 'register', '/services', 'svc', 'i1', '10.0.0.1', '99', 'blue');
    await registered.line('REGISTERED');
    expect((await watching.line('CACHE')).details).toBe('i1');
    expect(await said(start('discovery', 'names', '/services'), 'NAMES')).toEqual(['svc']);
    expect(await said(start('discovery', 'list', '/services', 'svc'), 'INSTANCE', 'COUNT')).toEqual([
      'svc i1 10.0.0.1 99 DYNAMIC enabled=true payload=blue uri=http://10.0.0.1:99',
      '1',
    ]);
    registered.say('close');
    await said(registered, 'UNREGISTERED');
    watching.say('close');
    await said(watching);
  });

  it('says what it does not understand, and what it can not do', async () => {
    await start('lock')
      .line('ERROR')
      .catch((error: Error) => expect(error.message).toContain('argument 1 is missing'));
    await expect(start('nonsense').line('BYE')).rejects.toThrow('ended without BYE');
  });
});
