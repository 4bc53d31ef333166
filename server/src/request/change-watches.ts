import {
  AddWatchMode,
  ErrorCode,
  type JuteWriter,
  MarshallingError,
  operations,
  WatcherType,
} from 'zookeeper-protocol-ts';
import type { WatchTable } from '../watch/watch-table.ts';
import type { ClientRequest, Origin } from './request.ts';

/**
 * Watches as requests of their own. They concern only the connection that asks: no permission is asked for, for events are
 * checked when they are told, and the znode need not exist.
 */

/** A watch that stays when it fires. */
export function addWatch<O extends Origin>(
  request: ClientRequest<O>,
  watches: WatchTable<O>,
  writer: JuteWriter,
): ErrorCode {
  const { path, mode } = operations.addWatch.request.read(request.body);
  if (mode !== AddWatchMode.PERSISTENT && mode !== AddWatchMode.PERSISTENT_RECURSIVE) {
    throw new MarshallingError(`${mode} is not a mode of addWatch`);
  }
  watches.addPersistent(path, mode, request.origin);
  operations.addWatch.response.write(writer, { err: ErrorCode.OK });
  return ErrorCode.OK;
}

/**
 * Whether the connection has such a watch; nothing is changed. Java's client asks this, and not for the removal, when it takes
 * away one watcher of its own.
 */
export function checkWatches<O extends Origin>(request: ClientRequest<O>, watches: WatchTable<O>): ErrorCode {
  const { path, type } = operations.checkWatches.request.read(request.body);
  return watches.has(path, watcherType(type), request.origin) ? ErrorCode.OK : ErrorCode.NO_WATCHER;
}

/** Takes a watch of the connection away, without an event. */
export function removeWatches<O extends Origin>(request: ClientRequest<O>, watches: WatchTable<O>): ErrorCode {
  const { path, type } = operations.removeWatches.request.read(request.body);
  return watches.remove(path, watcherType(type), request.origin) ? ErrorCode.OK : ErrorCode.NO_WATCHER;
}

const TYPES: ReadonlyMap<number, WatcherType> = new Map(Object.values(WatcherType).map((type) => [type, type]));

function watcherType(type: number): WatcherType {
  const known = TYPES.get(type);
  if (known === undefined) throw new MarshallingError(`${type} is not a type of watcher`);
  return known;
}
