/**
 * The numbers that name things in ZooKeeper. 64-bit ids are `bigint`, because a session id carries the server id in its
 * top byte and never fits a double. Each id has its own brand, so that a session id can't be passed where a zxid is meant.
 */

declare const brand: unique symbol;

/** A primitive that only its own constructor, or the codec, can make. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** ZooKeeper transaction id: the epoch in the high 32 bits, a counter in the low 32. Signed 64-bit on the wire. */
export type Zxid = Brand<bigint, 'Zxid'>;

/** Session id: the server id that made it in the top byte. Signed 64-bit on the wire; 0 asks for a new session. */
export type SessionId = Brand<bigint, 'SessionId'>;

/** Client request id, signed 32-bit; positive for ordinary requests, see {@link SpecialXid}. */
export type Xid = Brand<number, 'Xid'>;

/** Server id as in `myid` and `server.N`; its low 8 bits go into the session ids. */
export type ServerId = Brand<number, 'ServerId'>;

/** Number of a leader's reign: the high half of every zxid that it proposes. */
export type Epoch = Brand<number, 'Epoch'>;

/** Xids with a meaning of their own (ZooKeeper's `ClientCnxn`). */
export const SpecialXid = {
  /** Server to client: a watch event. */
  notification: -1 as Xid,
  ping: -2 as Xid,
  auth: -4 as Xid,
  /** Sent by the C and Python clients for setWatches; the Java client uses an ordinary xid. */
  setWatches: -8 as Xid,
} as const;

export const toZxid = (value: bigint): Zxid => BigInt.asIntN(64, value) as Zxid;
export const toSessionId = (value: bigint): SessionId => BigInt.asIntN(64, value) as SessionId;
export const toXid = (value: number): Xid => (value | 0) as Xid;
export const toServerId = (value: number): ServerId => value as ServerId;
export const toEpoch = (value: number): Epoch => value as Epoch;

export const ZERO_ZXID = 0n as Zxid;
export const NO_SESSION = 0n as SessionId;

/** The zxid of the `counter`-th transaction of an epoch. Both are unsigned 32-bit. */
export const makeZxid = (epoch: Epoch, counter: number): Zxid =>
  BigInt.asIntN(64, (BigInt(epoch) << 32n) | BigInt(counter >>> 0)) as Zxid;

export const epochOf = (zxid: Zxid): Epoch => Number(BigInt.asUintN(64, zxid) >> 32n) as Epoch;
export const counterOf = (zxid: Zxid): number => Number(BigInt.asUintN(32, zxid));

/** `0x` and lower-case hex of the 64 bits, as ZooKeeper prints zxids and session ids. */
export const toHex = (id: bigint): string => `0x${BigInt.asUintN(64, id).toString(16)}`;
