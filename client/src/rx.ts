/**
 * The door `zookeeper-client-ts/rx`: what there is to watch, as Observables. They are cold: each subscription stands
 * alone, begins with what there is now, and takes its watch with it. `rxjs` is needed only by those who import this
 * file.
 */
import { Observable } from 'rxjs';
import type { ConnectionState } from './connection-state.ts';
import { TreeView } from './watch/tree-view.ts';
import { toWatchedPath, type WatchScope, WatchSubscription } from './watch/watch-stream.ts';
import type { WatchView } from './watch/watch-view.ts';
import type { ChildrenChange, ExistenceChange, TreeChange, ZnodeChange } from './watch/znode-change.ts';
import { childrenAspect, dataAspect, existenceAspect, ZnodeView } from './watch/znode-view.ts';

/**
 * What happens at a path. Each stream begins with what there is, also where that is nothing, and then tells every
 * change with the old and the new, over lost connections and sessions. They end only with an error:
 * `ClientClosedError`, `NoAuthError`, or what else waiting doesn't cure.
 */
export interface WatchedZnode {
  /** The znode with its data. */
  readonly data$: Observable<ZnodeChange>;
  /** Whether there is one. Reads no data. */
  readonly exists$: Observable<ExistenceChange>;
  /** The names of its children. */
  readonly children$: Observable<ChildrenChange>;
  /** The znode and all below it, one change for each znode; `synced` when the first round is complete. */
  readonly tree$: Observable<TreeChange>;
}

/** A `CuratorFramework`, as far as it is needed here. */
export interface WatchingClient {
  readonly watchScope: WatchScope;
}

/**
 * Watches a path, from when one of the streams is subscribed to. The client must have been started by then.
 * @throws InvalidArgumentError if it is no path
 */
export function watch(client: WatchingClient, path: string): WatchedZnode {
  const scope = client.watchScope;
  const at = toWatchedPath(scope, path);
  return {
    data$: toObservable(scope, () => new ZnodeView(at, dataAspect)),
    exists$: toObservable(scope, () => new ZnodeView(at, existenceAspect)),
    children$: toObservable(scope, () => new ZnodeView(at, childrenAspect)),
    tree$: toObservable(scope, () => new TreeView(scope, at)),
  };
}

/**
 * The connection states of a client: the present one first, if there is any, then each as it comes. Completes when the
 * client is closed.
 */
export function states(client: WatchingClient): Observable<ConnectionState> {
  return new Observable((subscriber) => {
    const { connection } = client.watchScope;
    // What listeners were told last, not the state, which may be ahead of them: so none is missed, and none told twice.
    if (connection.lifecycle === 'STOPPED') return subscriber.complete();
    if (connection.lastDelivered !== undefined) subscriber.next(connection.lastDelivered);
    const unsubscribes = [
      connection.on('state', (state) => subscriber.next(state)),
      connection.on('lifecycle', (lifecycle) => {
        if (lifecycle === 'STOPPED') subscriber.complete();
      }),
    ];
    return () => {
      for (const unsubscribe of unsubscribes) unsubscribe();
    };
  });
}

function toObservable<Change>(scope: WatchScope, makeView: () => WatchView<Change>): Observable<Change> {
  return new Observable((subscriber) => {
    const subscription = new WatchSubscription(scope, makeView(), {
      onNews: () => {
        for (let change = subscription.take(); change !== undefined; change = subscription.take()) {
          subscriber.next(change);
        }
      },
      onFailure: (error) => subscriber.error(error),
    });
    return () => {
      // Never rejects; nobody can wait for it.
      void subscription.close();
    };
  });
}
