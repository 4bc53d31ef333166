import { lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from 'zookeeper-protocol-ts';
import { NoAuthError } from '../errors.ts';
import { states, watch } from '../rx.ts';
import { build, inWords, inWordsOfChildren, listen, started } from './watch-stream.fixture.ts';

describe.each([
  ['persistent watches', true],
  ['one-shot watches (ZooKeeper 3.5)', false],
])('on %s', (_, persistentWatches) => {
  /** What can't be excluded where a change is not an event. */
  const unsure = persistentWatches ? '' : ' (gap)';

  it('data$ tells the present data, then each change with the old and the new', async () => {
    const { server, client } = await started({ paths: ['/a'], persistentWatches });
    const listener = listen(inWords);
    const subscription = watch(client, '/a').data$.subscribe(listener);
    await server.clock.advance(3000);
    expect(listener.heard()).toEqual(['current /a -']);
    for (const data of ['one', 'two']) {
      server.write('/a', data);
      await server.clock.settle();
    }
    server.remove('/a');
    await server.clock.settle();
    server.make('/a');
    await server.clock.settle();
    expect(listener.heard()).toEqual([
      'changed /a - → one',
      'changed /a one → two',
      `deleted /a two${unsure}`,
      `created /a -${unsure}`,
    ]);
    subscription.unsubscribe();
    await server.clock.settle();
    expect(server.watches).toEqual([]);
  });

  it('data$ tells that there is nothing, and what comes', async () => {
    const { server, client } = await started({ persistentWatches });
    const listener = listen(inWords);
    watch(client, '/a').data$.subscribe(listener);
    await server.clock.advance(3000);
    server.make('/a');
    await server.clock.settle();
    expect(listener.heard()).toEqual(['current /a', `created /a -${unsure}`]);
  });

  it('writes in one go melt into one change with a gap', async () => {
    const { server, client } = await started({ paths: ['/a'], persistentWatches });
    const listener = listen(inWords);
    watch(client, '/a').data$.subscribe(listener);
    await server.clock.advance(3000);
    listener.heard();
    for (const data of ['one', 'two', 'three']) server.write('/a', data);
    await server.clock.settle();
    expect(listener.heard()).toEqual(['changed /a - → three (gap)']);
  });

  it('a znode that was deleted and created again is another one', async () => {
    const { server, client } = await started({ paths: ['/a'], persistentWatches });
    const listener = listen(inWords);
    watch(client, '/a').data$.subscribe(listener);
    await server.clock.advance(3000);
    listener.heard();
    server.remove('/a');
    server.make('/a');
    await server.clock.settle();
    expect(listener.heard()).toEqual(['recreated /a - → - (gap)']);
  });

  it('a znode that came and went leaves a mark', async () => {
    const { server, client } = await started({ persistentWatches });
    const listener = listen(inWords);
    watch(client, '/a').data$.subscribe(listener);
    await server.clock.advance(3000);
    listener.heard();
    server.make('/a');
    server.remove('/a');
    await server.clock.settle();
    expect(listener.heard()).toEqual(['missed /a (gap)']);
  });

  it('exists$ tells of existence alone', async () => {
    const { server, client } = await started({ persistentWatches });
    const listener = listen(({ exists, gap }: { exists: boolean; gap: boolean }) => `${exists}${gap ? ' (gap)' : ''}`);
    watch(client, '/a').exists$.subscribe(listener);
    await server.clock.advance(3000);
    server.make('/a');
    await server.clock.settle();
    server.write('/a', 'x');
    await server.clock.settle();
    server.remove('/a');
    await server.clock.settle();
    expect(listener.heard()).toEqual(['false', `true${unsure}`, `false${unsure}`]);
    expect(server.received).not.toContain('getData /a');
  });

  it('children$ tells who was added and who was removed', async () => {
    const { server, client } = await started({ paths: ['/a', '/a/1'], persistentWatches });
    const listener = listen(inWordsOfChildren);
    const subscription = watch(client, '/a').children$.subscribe(listener);
    await server.clock.advance(3000);
    server.make('/a/2');
    server.make('/a/3');
    await server.clock.settle();
    server.remove('/a/1');
    await server.clock.settle();
    server.remove('/a/2');
    server.make('/a/2');
    await server.clock.settle();
    expect(listener.heard()).toEqual(['+1 - = 1', '+2,3 - = 1,2,3', '+ -1 = 2,3', '+ - = 2,3 (gap)']);
    for (const path of ['/a/2', '/a/3', '/a']) server.remove(path);
    await server.clock.settle();
    expect(listener.heard()).toEqual(['+ -2,3 = missing (gap)']);
    subscription.unsubscribe();
    await server.clock.settle();
    expect(server.watches).toEqual([]);
  });

  it('tree$ tells parents before children, and children first when they go', async () => {
    const { server, client } = await started({ paths: ['/a', '/a/b', '/a/b/c', '/a/d'], persistentWatches });
    const listener = listen(inWords);
    const subscription = watch(client, '/a').tree$.subscribe(listener);
    await server.clock.advance(3000);
    expect(listener.heard()).toEqual([
      'current /a -',
      'current /a/b -',
      'current /a/d -',
      'current /a/b/c -',
      'synced /a',
    ]);
    server.write('/a/b/c', 'x');
    await server.clock.settle();
    server.make('/a/d/e');
    await server.clock.settle();
    server.remove('/a/b/c');
    server.remove('/a/b');
    await server.clock.settle();
    expect(listener.heard()).toEqual([
      'changed /a/b/c - → x',
      `created /a/d/e -${unsure}`,
      `deleted /a/b/c x${unsure}`,
      `deleted /a/b -${unsure}`,
    ]);
    subscription.unsubscribe();
    await server.clock.settle();
    expect(server.watches).toEqual([]);
  });

  it('tree$ of a root that is missing is synced at once, and finds it when it comes', async () => {
    const { server, client } = await started({ persistentWatches });
    const listener = listen(inWords);
    watch(client, '/a').tree$.subscribe(listener);
    await server.clock.advance(3000);
    server.make('/a');
    await server.clock.settle();
    server.make('/a/b');
    await server.clock.settle();
    expect(listener.heard()).toEqual(['synced /a', `created /a -${unsure}`, `created /a/b -${unsure}`]);
  });

  it('an outage hides nothing that is still there: what changed is told, with a gap unless it was one write', async () => {
    const { server, client } = await started({ paths: ['/a', '/a/1', '/b', '/c'], persistentWatches });
    const data = { a: listen(inWords), b: listen(inWords), c: listen(inWords), none: listen(inWords) };
    const children = listen(inWordsOfChildren);
    const tree = listen(inWords);
    watch(client, '/a').children$.subscribe(children);
    watch(client, '/a').tree$.subscribe(tree);
    for (const [name, listener] of Object.entries(data)) watch(client, `/${name}`).data$.subscribe(listener);
    await server.clock.advance(3000);
    for (const listener of [children, tree, ...Object.values(data)]) listener.heard();

    server.stop();
    await server.clock.settle();
    server.write('/a', 'one');
    server.write('/b', 'one');
    server.write('/b', 'two');
    server.remove('/a/1');
    server.make('/a/1');
    server.make('/a/2');
    server.start();
    await server.clock.advance(5000);

    expect(data.a.heard()).toEqual(['changed /a - → one']);
    expect(data.b.heard()).toEqual(['changed /b - → two (gap)']);
    expect(data.c.heard()).toEqual([]);
    expect(data.none.heard()).toEqual(['missed /none (gap)']);
    expect(children.heard()).toEqual(['+2 - = 1,2 (gap)']);
    expect(tree.heard()).toEqual([
      'changed /a - → one',
      'recreated /a/1 - → - (gap)',
      'created /a/2 - (gap)',
      'synced /a (gap)',
    ]);
  });

  it('goes on in a new session', async () => {
    const { server, client } = await started({ paths: ['/a', '/a/1'], persistentWatches });
    const listener = listen(inWords);
    const subscription = watch(client, '/a').tree$.subscribe(listener);
    await server.clock.advance(3000);
    listener.heard();
    server.expire(client.sessionId);
    server.write('/a/1', 'x');
    await server.clock.advance(5000);
    expect(listener.heard()).toEqual(['changed /a/1 - → x', 'synced /a (gap)']);
    server.write('/a/1', 'y');
    await server.clock.settle();
    expect(listener.heard()).toEqual(['changed /a/1 x → y']);
    subscription.unsubscribe();
    await server.clock.settle();
    expect(server.watches).toEqual([]);
  });

  it('leaves nothing behind after 20 rounds of everything', async () => {
    const { server, client } = await started({ paths: ['/a', '/a/b'], persistentWatches });
    await server.clock.advance(3000);
    const { timers } = server.clock;
    for (let round = 0; round < 20; round++) {
      const { data$, exists$, children$, tree$ } = watch(client, round % 2 === 0 ? '/a' : '/none');
      const subscriptions = [data$.subscribe(), exists$.subscribe(), children$.subscribe(), tree$.subscribe()];
      // Also before the watch is set, and while it is read.
      if (round % 5 !== 0) await server.clock.advance(round % 3 === 0 ? 3000 : 0);
      for (const subscription of subscriptions) subscription.unsubscribe();
      await server.clock.advance(3000);
    }
    expect(server.watches).toEqual([]);
    expect(server.clock.timers).toBe(timers);
    await client.close();
    expect(server.clock.timers).toBe(0);
  });

  it('an async loop sees the latest, however slow it is, and removes its watch when it breaks', async () => {
    const { server, client } = await started({ paths: ['/a'], persistentWatches });
    const changes = client.watch('/a');
    const heard: string[] = [];
    const loop = (async () => {
      for await (const change of changes) {
        heard.push(inWords(change));
        if (change.node?.text() === '9') break;
        // Busy.
        await server.clock.settle();
      }
    })();
    await server.clock.advance(3000);
    for (let i = 1; i <= 9; i++) server.write('/a', String(i));
    await server.clock.settle();
    await loop;
    expect(heard).toEqual(['current /a -', 'changed /a - → 9 (gap)']);
    expect(server.watches).toEqual([]);
  });
});

describe('on one path', () => {
  it('a tree and a znode share the mode of the server, and lose no event', async () => {
    const { server, client } = await started({ paths: ['/a', '/a/b'] });
    const [tree, children, data] = [listen(inWords), listen(inWordsOfChildren), listen(inWords)];
    const { tree$, children$, data$ } = watch(client, '/a');
    // In one go: the server has been asked for the one before it knows of the others.
    const subscriptions = [tree$.subscribe(tree), children$.subscribe(children), data$.subscribe(data)];
    await server.clock.settle();
    for (const listener of [tree, children, data]) listener.heard();
    server.write('/a/b', 'x');
    server.make('/a/c');
    await server.clock.settle();
    expect(tree.heard()).toEqual(['changed /a/b - → x', 'created /a/c -']);
    expect(children.heard()).toEqual(['+c - = b,c']);
    expect(data.heard()).toEqual([]);
    subscriptions[0]?.unsubscribe();
    await server.clock.settle();
    server.make('/a/d');
    server.write('/a', 'x');
    await server.clock.settle();
    expect(children.heard()).toEqual(['+d - = b,c,d']);
    expect(data.heard()).toEqual(['changed /a - → x']);
    for (const subscription of subscriptions) subscription.unsubscribe();
    await server.clock.settle();
    expect(server.watches).toEqual([]);
  });

  it("somebody's one-shot watch does not use up a stream's", async () => {
    const { server, client } = await started({ paths: ['/a', '/a/b'] });
    const tree = listen(inWords);
    watch(client, '/a').tree$.subscribe(tree);
    await server.clock.settle();
    tree.heard();
    const events: string[] = [];
    await client.zookeeper.getData('/a', { watcher: ({ path }) => events.push(path) });
    for (const path of ['/a', '/a/b', '/a']) {
      server.write(path, 'x');
      await server.clock.settle();
    }
    expect(tree.heard()).toEqual(['changed /a - → x', 'changed /a/b - → x', 'changed /a x → x']);
    expect(events).toEqual(['/a']);
  });
});

describe('a stream', () => {
  it('sets its watch again when somebody removes all watches of its path', async () => {
    const { server, client } = await started({ paths: ['/a'] });
    const listener = listen(inWords);
    watch(client, '/a').data$.subscribe(listener);
    await server.clock.settle();
    await client.zookeeper.removeWatches('/a');
    await server.clock.settle();
    server.write('/a', 'x');
    await server.clock.settle();
    expect(listener.heard()).toEqual(['current /a -', 'changed /a - → x']);
  });

  it('names paths below the namespace', async () => {
    const { server, client } = await started({ paths: ['/ns', '/ns/a', '/ns/a/b'], namespace: 'ns' });
    const [tree, data] = [listen(inWords), listen(inWords)];
    watch(client, '/').tree$.subscribe(tree);
    watch(client, '/a').data$.subscribe(data);
    await server.clock.settle();
    expect(tree.heard()).toEqual(['current / -', 'current /a -', 'current /a/b -', 'synced /']);
    expect(data.heard()).toEqual(['current /a -']);
    expect(server.watches).toEqual([
      'child /ns recursive',
      'child /ns/a persistent',
      'data /ns recursive',
      'data /ns/a persistent',
    ]);
  });

  it('fails when the client is closed, and when it was never started', async () => {
    const { server, client } = await started({ paths: ['/a'] });
    const listener = listen(inWords);
    watch(client, '/a').data$.subscribe(listener);
    await server.clock.settle();
    listener.heard();
    await client.close();
    await server.clock.settle();
    expect(listener.heard()).toEqual(['ClientClosedError']);
    expect(server.clock.timers).toBe(0);
    const late = listen(inWords);
    watch(client, '/a').data$.subscribe(late);
    watch(build(server), '/a').data$.subscribe(late);
    await server.clock.settle();
    expect(late.heard()).toEqual(['ClientClosedError', 'IllegalStateError']);
  });

  it('fails when reading is not permitted, and takes its watch along', async () => {
    const { server, client } = await started({ paths: ['/a'] });
    server.fate = ({ operation }) => (operation === 'getData' ? ErrorCode.NO_AUTH : undefined);
    await expect(lastValueFrom(watch(client, '/a').data$.pipe(toArray()))).rejects.toBeInstanceOf(NoAuthError);
    await server.clock.settle();
    expect(server.watches).toEqual([]);
  });

  it('tries again after a refusal that passes', async () => {
    const { server, client } = await started({ paths: ['/a'] });
    let refusals = 2;
    server.fate = ({ operation }) => (operation === 'getData' && refusals-- > 0 ? ErrorCode.THROTTLED_OP : undefined);
    const listener = listen(inWords);
    watch(client, '/a').data$.subscribe(listener);
    await server.clock.advance(1000);
    expect(listener.heard()).toEqual(['current /a -']);
  });

  it('refuses a bad path at the call', async () => {
    const { client } = await started();
    expect(() => watch(client, 'a')).toThrow('path');
  });
});

describe('states', () => {
  it('are the present one, then each as it comes; complete on close', async () => {
    const { server, client } = await started();
    const [early, gone, late] = [listen(String), listen(String), listen(String)];
    states(client).subscribe(early);
    states(client).subscribe(gone).unsubscribe();
    server.dropConnections();
    await server.clock.advance(3000);
    await client.close();
    states(client).subscribe(late);
    expect(early.heard()).toEqual(['CONNECTED', 'SUSPENDED', 'RECONNECTED', 'complete']);
    expect(gone.heard()).toEqual(['CONNECTED']);
    expect(late.heard()).toEqual(['complete']);
  });
});
