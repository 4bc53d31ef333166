/** How a znode is created (ZooKeeper's `CreateMode`): the value is the `flags` field on the wire. */
export const CreateMode = {
  PERSISTENT: 0,
  /** Deleted when the session that made it ends. Can't have children. */
  EPHEMERAL: 1,
  /** The server appends the parent's counter, 10 digits. */
  PERSISTENT_SEQUENTIAL: 2,
  EPHEMERAL_SEQUENTIAL: 3,
  /** Deleted by the server some time after its last child has gone. */
  CONTAINER: 4,
  /** Deleted by the server when it has no children and wasn't modified for its time to live. */
  PERSISTENT_WITH_TTL: 5,
  PERSISTENT_SEQUENTIAL_WITH_TTL: 6,
} as const;
export type CreateMode = (typeof CreateMode)[keyof typeof CreateMode];
export type CreateModeName = keyof typeof CreateMode;

export const isCreateMode = (flags: number): flags is CreateMode => Number.isInteger(flags) && flags >= 0 && flags <= 6;

export const isSequential = (mode: CreateMode): boolean =>
  mode === CreateMode.PERSISTENT_SEQUENTIAL ||
  mode === CreateMode.EPHEMERAL_SEQUENTIAL ||
  mode === CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL;

export const isEphemeral = (mode: CreateMode): boolean =>
  mode === CreateMode.EPHEMERAL || mode === CreateMode.EPHEMERAL_SEQUENTIAL;

export const hasTtl = (mode: CreateMode): boolean =>
  mode === CreateMode.PERSISTENT_WITH_TTL || mode === CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL;
