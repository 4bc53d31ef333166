/** What a watch event tells (ZooKeeper's `Watcher.Event`). */

export const EventType = {
  /** Not about a znode: the connection or session changed its state. */
  None: -1,
  NodeCreated: 1,
  NodeDeleted: 2,
  NodeDataChanged: 3,
  NodeChildrenChanged: 4,
  /** Local to the client, never on the wire: the watch was removed on request. */
  DataWatchRemoved: 5,
  ChildWatchRemoved: 6,
  PersistentWatchRemoved: 7,
} as const;
export type EventType = (typeof EventType)[keyof typeof EventType];
export type EventTypeName = keyof typeof EventType;

export const KeeperState = {
  /** Of old versions, never sent today. */
  Unknown: -1,
  Disconnected: 0,
  /** Of old versions, never sent today. */
  NoSyncConnected: 1,
  SyncConnected: 3,
  AuthFailed: 4,
  ConnectedReadOnly: 5,
  SaslAuthenticated: 6,
  Closed: 7,
  Expired: -112,
} as const;
export type KeeperState = (typeof KeeperState)[keyof typeof KeeperState];
export type KeeperStateName = keyof typeof KeeperState;

const eventTypes = new Map<number, EventTypeName>(
  Object.entries(EventType).map(([name, value]) => [value, name as EventTypeName]),
);
const keeperStates = new Map<number, KeeperStateName>(
  Object.entries(KeeperState).map(([name, value]) => [value, name as KeeperStateName]),
);

/** The name of an event type, or undefined for one that this version doesn't know. */
export const eventTypeName = (value: number): EventTypeName | undefined => eventTypes.get(value);

/** The name of a keeper state, or undefined for one that this version doesn't know. */
export const keeperStateName = (value: number): KeeperStateName | undefined => keeperStates.get(value);

/** Modes of `addWatch`: on exactly one path, or on a path and all below it. */
export const AddWatchMode = { PERSISTENT: 0, PERSISTENT_RECURSIVE: 1 } as const;
export type AddWatchMode = (typeof AddWatchMode)[keyof typeof AddWatchMode];

/** Kinds of watch that `checkWatches` and `removeWatches` name. */
export const WatcherType = { Children: 1, Data: 2, Any: 3, Persistent: 4, PersistentRecursive: 5 } as const;
export type WatcherType = (typeof WatcherType)[keyof typeof WatcherType];
