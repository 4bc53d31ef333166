import { describe, expect, it } from 'vitest';
import { AddWatchMode, EventType, WatcherType } from 'zookeeper-protocol-ts';
import { WATCHED_PATH_BYTES, WatchTable } from './watch-table.ts';

const { NodeCreated, NodeDeleted, NodeDataChanged, NodeChildrenChanged } = EventType;
const { PERSISTENT, PERSISTENT_RECURSIVE } = AddWatchMode;
type ChangeType = typeof NodeCreated | typeof NodeDeleted | typeof NodeDataChanged;

/** What each watcher is told, in order: `[watcher, type, path]`. */
const events = (table: WatchTable<string>, type: ChangeType, path: string) => {
  const told: [watcher: string, type: EventType, path: string][] = [];
  table.trigger({ type, path }, (watcher, event, at) => told.push([watcher, event, at]));
  table.assertConsistent();
  return told;
};

describe('a data watch', () => {
  it('tells of a create, a delete and new data, each once', () => {
    const table = new WatchTable<string>();
    for (const type of [NodeCreated, NodeDeleted, NodeDataChanged]) {
      table.addData('/a', 'w');
      table.addData('/a', 'w');
      expect(events(table, type, '/a')).toEqual([['w', type, '/a']]);
      expect(events(table, type, '/a')).toEqual([]);
    }
  });

  it('tells nothing of children', () => {
    const table = new WatchTable<string>();
    table.addData('/a', 'w');
    expect(events(table, NodeCreated, '/a/b')).toEqual([]);
    expect(events(table, NodeDeleted, '/a/b')).toEqual([]);
    expect(events(table, NodeDataChanged, '/a/b')).toEqual([]);
    expect(table.has('/a', WatcherType.Data, 'w')).toBe(true);
  });
});

describe('a child watch', () => {
  it('tells of a child’s create and delete, and of the znode’s own delete, once', () => {
    const table = new WatchTable<string>();
    table.addChild('/a', 'w');
    expect(events(table, NodeCreated, '/a/b')).toEqual([['w', NodeChildrenChanged, '/a']]);
    expect(events(table, NodeDeleted, '/a/b')).toEqual([]);
    table.addChild('/a', 'w');
    expect(events(table, NodeDeleted, '/a')).toEqual([['w', NodeDeleted, '/a']]);
    expect(table.counts).toEqual({ paths: 0, watches: 0, watchers: 0 });
  });

  it('tells nothing of data, grandchildren or its own create', () => {
    const table = new WatchTable<string>();
    table.addChild('/a', 'w');
    expect(events(table, NodeDataChanged, '/a')).toEqual([]);
    expect(events(table, NodeDataChanged, '/a/b')).toEqual([]);
    expect(events(table, NodeCreated, '/a/b/c')).toEqual([]);
    expect(events(table, NodeCreated, '/a')).toEqual([]);
    expect(table.counts.watches).toBe(1);
  });

  it('on the root tells of top-level znodes', () => {
    const table = new WatchTable<string>();
    table.addChild('/', 'w');
    expect(events(table, NodeCreated, '/a')).toEqual([['w', NodeChildrenChanged, '/']]);
  });
});

describe('a delete', () => {
  it('is told once to a watcher of both data and children, and takes both watches', () => {
    const table = new WatchTable<string>();
    table.addChild('/a', 'w');
    table.addData('/a', 'w');
    expect(events(table, NodeDeleted, '/a')).toEqual([['w', NodeDeleted, '/a']]);
    expect(table.counts.watches).toBe(0);
  });

  it('is told to data watchers, then to child watchers, then to those of the parent', () => {
    const table = new WatchTable<string>();
    table.addChild('/p', 'of parent');
    table.addChild('/p/a', 'of children');
    table.addData('/p/a', 'of data');
    expect(events(table, NodeDeleted, '/p/a')).toEqual([
      ['of data', NodeDeleted, '/p/a'],
      ['of children', NodeDeleted, '/p/a'],
      ['of parent', NodeChildrenChanged, '/p'],
    ]);
  });

  it('is two events to a watcher of the znode and of the parent’s children', () => {
    const table = new WatchTable<string>();
    table.addData('/p/a', 'w');
    table.addChild('/p', 'w');
    expect(events(table, NodeDeleted, '/p/a')).toEqual([
      ['w', NodeDeleted, '/p/a'],
      ['w', NodeChildrenChanged, '/p'],
    ]);
  });
});

describe('a persistent watch', () => {
  it('tells of data and of children, and stays', () => {
    const table = new WatchTable<string>();
    table.addPersistent('/a', PERSISTENT, 'w');
    for (let round = 0; round < 2; round++) {
      expect(events(table, NodeCreated, '/a')).toEqual([['w', NodeCreated, '/a']]);
      expect(events(table, NodeDataChanged, '/a')).toEqual([['w', NodeDataChanged, '/a']]);
      expect(events(table, NodeCreated, '/a/b')).toEqual([['w', NodeChildrenChanged, '/a']]);
      expect(events(table, NodeDataChanged, '/a/b')).toEqual([]);
      expect(events(table, NodeCreated, '/a/b/c')).toEqual([]);
      expect(events(table, NodeDeleted, '/a')).toEqual([['w', NodeDeleted, '/a']]);
    }
  });

  it('is not shortened by a one-shot watch of the same watcher, whose event comes once (ZOOKEEPER-4466)', () => {
    const table = new WatchTable<string>();
    table.addPersistent('/a', PERSISTENT, 'w');
    table.addData('/a', 'w');
    table.addChild('/a', 'w');
    expect(events(table, NodeDataChanged, '/a')).toEqual([['w', NodeDataChanged, '/a']]);
    expect(events(table, NodeCreated, '/a/b')).toEqual([['w', NodeChildrenChanged, '/a']]);
    expect(table.counts.watches).toBe(1);
    expect(events(table, NodeDataChanged, '/a')).toEqual([['w', NodeDataChanged, '/a']]);
  });
});

describe('a persistent recursive watch', () => {
  it('tells of the path and of all below it, never of children (ZOOKEEPER-4475)', () => {
    const table = new WatchTable<string>();
    table.addPersistent('/a', PERSISTENT_RECURSIVE, 'w');
    for (const path of ['/a', '/a/b', '/a/b/c/d']) {
      expect(events(table, NodeCreated, path)).toEqual([['w', NodeCreated, path]]);
      expect(events(table, NodeDataChanged, path)).toEqual([['w', NodeDataChanged, path]]);
      expect(events(table, NodeDeleted, path)).toEqual([['w', NodeDeleted, path]]);
    }
    expect(events(table, NodeCreated, '/ab')).toEqual([]);
    expect(events(table, NodeCreated, '/')).toEqual([]);
  });

  it('on the root tells of everything', () => {
    const table = new WatchTable<string>();
    table.addPersistent('/', PERSISTENT_RECURSIVE, 'w');
    expect(events(table, NodeDataChanged, '/x/y')).toEqual([['w', NodeDataChanged, '/x/y']]);
    expect(events(table, NodeDataChanged, '/')).toEqual([['w', NodeDataChanged, '/']]);
  });

  it('and any others that the same event meets make one notification', () => {
    const table = new WatchTable<string>();
    table.addPersistent('/', PERSISTENT_RECURSIVE, 'w');
    table.addPersistent('/a', PERSISTENT_RECURSIVE, 'w');
    table.addData('/a/b', 'w');
    table.addChild('/a/b', 'w');
    table.addPersistent('/a', PERSISTENT_RECURSIVE, 'other');
    expect(events(table, NodeDeleted, '/a/b')).toEqual([
      ['w', NodeDeleted, '/a/b'],
      ['other', NodeDeleted, '/a/b'],
    ]);
    expect(table.counts).toEqual({ paths: 2, watches: 3, watchers: 2 });
  });

  it('leaves the child watches of the parent to fire beside it', () => {
    const table = new WatchTable<string>();
    table.addPersistent('/a', PERSISTENT_RECURSIVE, 'w');
    table.addChild('/a', 'w');
    expect(events(table, NodeCreated, '/a/b')).toEqual([
      ['w', NodeCreated, '/a/b'],
      ['w', NodeChildrenChanged, '/a'],
    ]);
  });
});

describe('remove', () => {
  it('takes the kind that it names and says whether it was there', () => {
    const table = new WatchTable<string>();
    const kinds = [
      WatcherType.Data,
      WatcherType.Children,
      WatcherType.Persistent,
      WatcherType.PersistentRecursive,
    ] as const;
    table.addData('/a', 'w');
    table.addChild('/a', 'w');
    table.addPersistent('/a', PERSISTENT, 'w');
    table.addPersistent('/a', PERSISTENT_RECURSIVE, 'w');
    expect(table.counts).toEqual({ paths: 1, watches: 4, watchers: 1 });
    for (const kind of kinds) {
      expect(table.remove('/a', kind, 'someone else')).toBe(false);
      expect(table.remove('/b', kind, 'w')).toBe(false);
      expect([table.has('/a', kind, 'w'), table.remove('/a', kind, 'w')]).toEqual([true, true]);
      expect([table.has('/a', kind, 'w'), table.remove('/a', kind, 'w')]).toEqual([false, false]);
      table.assertConsistent();
    }
    expect(table.counts).toEqual({ paths: 0, watches: 0, watchers: 0 });
  });

  it('of any kind takes all', () => {
    const table = new WatchTable<string>();
    expect(table.remove('/a', WatcherType.Any, 'w')).toBe(false);
    table.addChild('/a', 'w');
    table.addPersistent('/a', PERSISTENT_RECURSIVE, 'w');
    expect([table.has('/a', WatcherType.Any, 'w'), table.has('/a', WatcherType.Data, 'w')]).toEqual([true, false]);
    expect(table.remove('/a', WatcherType.Any, 'w')).toBe(true);
    expect(table.counts.watches).toBe(0);
    table.assertConsistent();
  });
});

describe('removeWatcher', () => {
  it('leaves nothing of the watcher and everything of the others (WCH-2)', () => {
    const table = new WatchTable<string>();
    for (const watcher of ['gone', 'stays']) {
      table.addData('/a', watcher);
      table.addChild('/b', watcher);
      table.addPersistent('/c', PERSISTENT_RECURSIVE, watcher);
    }
    table.addData('/only', 'gone');
    table.removeWatcher('gone');
    table.removeWatcher('never there');
    table.assertConsistent();
    expect(table.counts).toEqual({ paths: 3, watches: 3, watchers: 1 });
    // Those of data only: what `wchc` and `wchp` show in the original.
    expect([...table.byWatcher()]).toEqual([['stays', ['/a', '/c']]]);
    expect([...table.byPath()]).toEqual([
      ['/a', ['stays']],
      ['/c', ['stays']],
    ]);
    expect(events(table, NodeDataChanged, '/a')).toEqual([['stays', NodeDataChanged, '/a']]);
  });
});

describe('what watches take', () => {
  const path = `/${'x'.repeat(99)}`;
  const bytes = WATCHED_PATH_BYTES + 100;

  it('is counted once for a watcher at a path, whatever its watches there, until the last is gone (WCH-3)', () => {
    const table = new WatchTable<string>();
    table.addData(path, 'w');
    table.addChild(path, 'w');
    table.addPersistent(path, PERSISTENT, 'w');
    table.addData(path, 'other');
    expect(table.bytes).toBe(2 * bytes);
    table.remove(path, WatcherType.Data, 'w');
    table.assertConsistent();
    expect(table.bytes).toBe(2 * bytes);
    table.remove(path, WatcherType.Any, 'w');
    expect(table.bytes).toBe(bytes);
    expect(events(table, NodeDataChanged, path)).toHaveLength(1);
    expect(table.bytes).toBe(0);
    table.addData(path, 'w');
    table.removeWatcher('w');
    table.assertConsistent();
    expect(table.bytes).toBe(0);
  });

  it('is bounded for one watcher, and for all: who brings the excess is told, once', () => {
    const table = new WatchTable<string>({ connectionWatchBytesMax: 2 * bytes, watchBytesMax: 3 * bytes });
    for (const watcher of ['a', 'b']) table.addData(path, watcher);
    table.addChild(`${path.slice(0, -1)}y`, 'a');
    expect(table.takeExcessive()).toBeUndefined();
    table.addData(`${path.slice(0, -1)}z`, 'b');
    expect([table.takeExcessive(), table.takeExcessive()]).toEqual(['b', undefined]);
    table.removeWatcher('b');
    table.addData('/', 'a');
    expect(table.takeExcessive()).toBe('a');
    // It is still there: to send it away is the caller's business.
    table.assertConsistent();
    expect(table.counts.watches).toBe(3);
  });
});
