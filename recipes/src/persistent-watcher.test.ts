import { describe, expect, it } from 'vitest';
import {
  ConnectionLossError,
  EventType,
  KeeperState,
  NoAuthError,
  UnimplementedError,
  type Watcher,
} from 'zookeeper-client-ts';
import { FakeServers, settle } from './fake-client.fixture.ts';
import { PersistentWatcher } from './persistent-watcher.ts';
import { RecipeStateError } from './recipe-state.ts';

function watched(client = new FakeServers().newClient().start()) {
  const asked: string[] = [];
  const watchers: Watcher[] = [];
  const failures: unknown[] = [];
  let answer: Promise<void> = Promise.resolve();
  Object.assign(client, {
    addWatch: async (path: string, watcher: Watcher, { recursive }: { recursive: boolean }) => {
      asked.push(`add ${path}${recursive ? '/**' : ''}`);
      await answer;
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      if (!watchers.includes(watcher)) watchers.push(watcher);
    },
    removeWatches: async (path: string, { watcher }: { watcher: Watcher }) => {
      asked.push(`remove ${path}`);
      watchers.splice(watchers.indexOf(watcher), 1);
    },
  });
  const watcher = new PersistentWatcher(client.framework, '/a', { recursive: true });
  const events: string[] = [];
  watcher.on('reset', () => void events.push('reset'));
  watcher.on('event', ({ type, path }) => void events.push(`${type} ${path}`));
  watcher.on('error', (error) => void events.push(`error ${(error as Error).name}`));
  return {
    client,
    watcher,
    events,
    asked,
    failures,
    watchers,
    holdBack: (until: Promise<void>) => {
      answer = until;
    },
    fire: (type: EventType, path = '/a/b') => {
      for (const each of watchers) each({ type, path, state: KeeperState.SyncConnected });
    },
  };
}

describe('PersistentWatcher', () => {
  it('sets its watch, says so, and tells the events of znodes, but not those of the connection', async () => {
    const { watcher, events, asked, fire } = watched();
    expect(watcher.start().state).toBe('STARTED');
    await settle();
    fire(EventType.NodeCreated);
    fire(EventType.None, '');
    fire(EventType.NodeDataChanged);
    expect(asked).toEqual(['add /a/**']);
    expect(events).toEqual(['reset', `${EventType.NodeCreated} /a/b`, `${EventType.NodeDataChanged} /a/b`]);
    await watcher.close();
  });

  it('sets it again after every outage, and says that something may have been missed', async () => {
    const { client, watcher, events, asked } = watched();
    watcher.start();
    await settle();
    client.enter('SUSPENDED');
    await settle();
    expect(asked).toHaveLength(1);
    client.reconnect();
    await settle();
    client.lose();
    await settle();
    expect(asked).toHaveLength(3);
    expect(events).toEqual(['reset', 'reset', 'reset']);
    await watcher.close();
  });

  it('when the connection breaks while it is being set, it is set again, and only then says so', async () => {
    const { client, watcher, events, asked, holdBack } = watched();
    let answer: () => void = () => undefined;
    holdBack(
      new Promise((resolve) => {
        answer = resolve;
      }),
    );
    watcher.start();
    await settle();
    client.enter('SUSPENDED');
    client.reconnect();
    answer();
    await settle();
    expect(asked).toHaveLength(2);
    expect(events).toEqual(['reset']);
    await watcher.close();
  });

  it('sets it again when somebody has removed all watches of the path', async () => {
    const { watcher, events, asked, fire } = watched();
    watcher.start();
    await settle();
    fire(EventType.PersistentWatchRemoved, '/a');
    await settle();
    expect(asked).toHaveLength(2);
    expect(events).toEqual(['reset', 'reset']);
    await watcher.close();
  });

  it('tries again when the connection fails it, and, refused, when the connection has changed', async () => {
    const { client, watcher, events, asked, failures } = watched();
    failures.push(new ConnectionLossError('lost'), new NoAuthError('no'));
    watcher.start();
    await settle();
    await client.clock.advance(60_000);
    expect(events).toEqual(['error NoAuthError']);
    expect(asked).toHaveLength(2);
    client.reconnect();
    await settle();
    expect(events).toEqual(['error NoAuthError', 'reset']);
    await watcher.close();
  });

  it('ends with servers that do not know persistent watches', async () => {
    const { watcher, events, asked, failures, client } = watched();
    failures.push(new UnimplementedError('what?'));
    watcher.start();
    await settle();
    client.reconnect();
    await settle();
    expect(events).toEqual(['error UnimplementedError']);
    expect(asked).toHaveLength(1);
    expect(watcher.state).toBe('CLOSED');
    await watcher.close();
  });

  it('closed, it tells nothing more, removes its watch, and does nothing any more (CURATOR-729)', async () => {
    const { client, watcher, events, asked, watchers } = watched();
    watcher.start();
    await settle();
    const [late] = watchers;
    await Promise.all([watcher.close(), watcher.close()]);
    late?.({ type: EventType.NodeCreated, path: '/a', state: KeeperState.SyncConnected });
    client.enter('SUSPENDED');
    client.reconnect();
    await settle();
    expect(asked).toEqual(['add /a/**', 'remove /a']);
    expect(watchers).toEqual([]);
    expect(events).toEqual(['reset']);
    expect(client.clock.alarms).toBe(0);
  });

  it('closed while it is being set, it removes its watch', async () => {
    const { watcher, events, watchers, holdBack } = watched();
    let answer: () => void = () => undefined;
    holdBack(
      new Promise((resolve) => {
        answer = resolve;
      }),
    );
    watcher.start();
    await settle();
    const closing = watcher.close();
    answer();
    await closing;
    expect(watchers).toEqual([]);
    expect(events).toEqual([]);
  });

  it('closed without a connection, it does not wait', async () => {
    const { client, watcher, holdBack } = watched();
    holdBack(new Promise(() => undefined));
    watcher.start();
    await settle();
    client.enter('SUSPENDED');
    await watcher.close();
    expect(watcher.state).toBe('CLOSED');
  });

  it('ends with its client, and waits for one that is not started', async () => {
    const { client, watcher, events } = watched(new FakeServers().newClient());
    watcher.start();
    await settle();
    client.start();
    await settle();
    expect(events).toEqual(['reset']);
    client.close();
    await settle();
    expect(watcher.state).toBe('CLOSED');
    await watcher.close();
  });

  it('refuses to be started twice', async () => {
    const { watcher } = watched();
    watcher.start();
    expect(() => watcher.start()).toThrow(RecipeStateError);
    await watcher.close();
    expect(() => watcher.start()).toThrow(RecipeStateError);
  });
});
