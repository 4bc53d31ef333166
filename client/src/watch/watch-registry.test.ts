import { describe, expect, test } from 'vitest';
import { AddWatchMode, EventType, JuteWriter, operations, toZxid, WatcherType } from 'zookeeper-protocol-ts';
import { SET_WATCHES_BYTES_MAX, type Watcher, type WatchKind, WatchRegistry } from './watch-registry.ts';

const { NodeCreated, NodeDeleted, NodeDataChanged, NodeChildrenChanged } = EventType;

/** One watcher of each kind on /a, and their names. */
function watchOnA() {
  const registry = new WatchRegistry();
  const names = new Map<Watcher, WatchKind>();
  for (const kind of ['data', 'exist', 'child', 'persistent', 'persistentRecursive'] as const) {
    const watcher = () => undefined;
    names.set(watcher, kind);
    registry.add(kind, '/a', watcher);
  }
  return { registry, take: (type: EventType, path = '/a') => registry.take(type, path).map((each) => names.get(each)) };
}

describe('an event', () => {
  test.each([
    ['NodeCreated', NodeCreated, ['data', 'exist', 'persistent', 'persistentRecursive']],
    ['NodeDataChanged', NodeDataChanged, ['data', 'exist', 'persistent', 'persistentRecursive']],
    ['NodeDeleted', NodeDeleted, ['data', 'exist', 'child', 'persistent', 'persistentRecursive']],
    ['NodeChildrenChanged', NodeChildrenChanged, ['child', 'persistent']],
  ] as const)('%s takes the watches that wait for it', (_, type, kinds) => {
    expect(watchOnA().take(type)).toEqual(kinds);
  });

  test('uses up one-shot watches and leaves persistent ones', () => {
    const { take } = watchOnA();
    take(NodeDeleted);
    expect(take(NodeDeleted)).toEqual(['persistent', 'persistentRecursive']);
  });

  test('below a recursive watch is its event, and of nobody else', () => {
    const { take } = watchOnA();
    expect(take(NodeDataChanged, '/a/b/c')).toEqual(['persistentRecursive']);
    expect(take(NodeChildrenChanged, '/a/b')).toEqual([]);
    expect(take(NodeDataChanged, '/ab')).toEqual([]);
    expect(take(NodeDataChanged, '/')).toEqual([]);
  });

  test('at the root is the event of a recursive watch there', () => {
    const registry = new WatchRegistry();
    const watcher = () => undefined;
    registry.add('persistentRecursive', '/', watcher);
    expect(registry.take(NodeCreated, '/a')).toEqual([watcher]);
    expect(registry.take(NodeDataChanged, '/')).toEqual([watcher]);
  });

  test('of an unknown type takes nothing', () => {
    const { take, registry } = watchOnA();
    expect(take(4711 as EventType)).toEqual([]);
    expect(registry.all()).toHaveLength(5);
  });
});

test('the same function twice is one call, whatever it watches', () => {
  const registry = new WatchRegistry();
  const watcher = () => undefined;
  registry.add('data', '/a', watcher);
  registry.add('data', '/a', watcher);
  registry.add('child', '/a', watcher);
  expect(registry.take(NodeDeleted, '/a')).toEqual([watcher]);
});

test('the same function on two paths is one watch for each, and one call for a change of the connection', () => {
  const registry = new WatchRegistry();
  const watcher = () => undefined;
  registry.add('data', '/a', watcher);
  registry.add('data', '/b', watcher);
  expect(registry.all()).toEqual([watcher]);
  expect(registry.take(NodeDataChanged, '/a')).toEqual([watcher]);
  expect(registry.take(NodeDataChanged, '/b')).toEqual([watcher]);
});

describe('requests that restore the watches', () => {
  test('name every path once, by kind, and the zxid', () => {
    const { registry } = watchOnA();
    registry.add('data', '/a', () => undefined);
    registry.add('data', '/b', () => undefined);
    expect(registry.toRequests(toZxid(7n))).toEqual([
      {
        relativeZxid: 7n,
        dataWatches: ['/a', '/b'],
        existWatches: ['/a'],
        childWatches: ['/a'],
        persistentWatches: ['/a'],
        persistentRecursiveWatches: ['/a'],
      },
    ]);
  });

  test('are none where nothing is watched any more', () => {
    const { registry } = watchOnA();
    registry.clear();
    expect(registry.toRequests(toZxid(7n))).toEqual([]);
    expect(registry.all()).toEqual([]);
  });

  test('stay below 128 KiB each, and lose no path', () => {
    const registry = new WatchRegistry();
    const paths = Array.from({ length: 500 }, (_, i) => `/${'é'.repeat(200)}${i}`);
    for (const path of paths) {
      registry.add('data', path, () => undefined);
      registry.add('child', path, () => undefined);
    }
    const requests = registry.toRequests(toZxid(1n));
    expect(requests.length).toBeGreaterThan(2);
    expect(requests.flatMap(({ dataWatches }) => dataWatches)).toEqual(paths);
    expect(requests.flatMap(({ childWatches }) => childWatches)).toEqual(paths);
    for (const request of requests) {
      const writer = new JuteWriter();
      operations.setWatches2.request.write(writer, request);
      expect(writer.length).toBeLessThan(SET_WATCHES_BYTES_MAX);
    }
  });
});

describe('where a recursive watch is in place', () => {
  test('nothing weaker is asked for at its path', () => {
    const registry = new WatchRegistry();
    const watcher = () => undefined;
    expect(registry.modeFor('/a', false)).toBe(AddWatchMode.PERSISTENT);
    registry.add('persistentRecursive', '/a', watcher);
    expect(registry.modeFor('/a', false)).toBe(AddWatchMode.PERSISTENT_RECURSIVE);
    expect([registry.covers('data', '/a'), registry.covers('child', '/a')]).toEqual([true, false]);
    expect([registry.covers('data', '/a/b'), registry.covers('child', '/b')]).toEqual([false, false]);
    registry.add('persistent', '/b', watcher);
    expect([registry.covers('data', '/b'), registry.covers('child', '/b')]).toEqual([true, true]);
  });

  test('one that is being asked for counts until that is over', () => {
    const registry = new WatchRegistry();
    const ends = [registry.beginAsking('persistentRecursive', '/a'), registry.beginAsking('persistentRecursive', '/a')];
    for (const end of ends) {
      expect(registry.modeFor('/a', false)).toBe(AddWatchMode.PERSISTENT_RECURSIVE);
      expect(registry.covers('data', '/a')).toBe(true);
      end();
    }
    expect(registry.modeFor('/a', false)).toBe(AddWatchMode.PERSISTENT);
    expect(registry.covers('data', '/a')).toBe(false);
  });

  test('the event of a child stands for a change of the list of children', () => {
    const registry = new WatchRegistry();
    const watcher = () => undefined;
    registry.noteMode('/a', AddWatchMode.PERSISTENT_RECURSIVE);
    registry.add('persistentRecursive', '/a', watcher);
    registry.add('persistent', '/a', watcher);
    expect(registry.unspokenChildrenChange(NodeCreated, '/a/b')).toBe('/a');
    expect(registry.unspokenChildrenChange(NodeDeleted, '/a/b')).toBe('/a');
    expect(registry.unspokenChildrenChange(NodeDataChanged, '/a/b')).toBeUndefined();
    expect(registry.unspokenChildrenChange(NodeCreated, '/a/b/c')).toBeUndefined();
    expect(registry.unspokenChildrenChange(NodeCreated, '/')).toBeUndefined();
    // The server's watch stays what it is for as long as somebody needs it.
    registry.remove('/a', WatcherType.PersistentRecursive);
    expect(registry.unspokenChildrenChange(NodeCreated, '/a/b')).toBe('/a');
    registry.remove('/a', WatcherType.Persistent);
    expect(registry.unspokenChildrenChange(NodeCreated, '/a/b')).toBeUndefined();
  });
});
