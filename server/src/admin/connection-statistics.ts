import { OpCode, type Zxid } from 'zookeeper-protocol-ts';
import type { Millis } from '../ports.ts';

/**
 * What `cons` tells of one connection, since it was established or since `crst` (the fields of the original's `ServerCnxn`).
 * Plain numbers that each request overwrites: there is one of these for every connection, idle or not.
 */
export class ConnectionStatistics {
  /** On the wall clock. Not set back. */
  readonly establishedAt: Millis;
  packetsReceived = 0;
  packetsSent = 0;
  /** The operation code answered last; undefined before the first. */
  lastOperation: number | undefined;
  /** The xid of the last request that had one of its own: pings and the like don't. -1 before there was one. */
  lastXid = -1;
  /** The zxid that the last answer told; undefined before the first. */
  lastZxid: Zxid | undefined;
  /** On the monotonic clock. */
  lastResponseAt: Millis = 0;
  lastLatencyMs: Millis = 0;
  #answers = 0;
  #latencySum: Millis = 0;
  #latencyMin: Millis = Number.POSITIVE_INFINITY;
  #latencyMax: Millis = 0;

  constructor(establishedAt: Millis) {
    this.establishedAt = establishedAt;
  }

  /** A request was answered. @param arrivedAt when it came, and @param now the present, both on the monotonic clock */
  recordAnswer(operation: number, xid: number, zxid: Zxid, arrivedAt: Millis, now: Millis): void {
    this.lastOperation = operation;
    if (xid >= 0) this.lastXid = xid;
    this.lastZxid = zxid;
    this.lastResponseAt = now;
    const latencyMs = now - arrivedAt;
    this.lastLatencyMs = latencyMs;
    this.#answers++;
    this.#latencySum += latencyMs;
    if (latencyMs < this.#latencyMin) this.#latencyMin = latencyMs;
    if (latencyMs > this.#latencyMax) this.#latencyMax = latencyMs;
  }

  /** Whole ms, the average too, as the original tells them of a connection. */
  get latency(): { readonly min: Millis; readonly average: Millis; readonly max: Millis } {
    if (this.#answers === 0) return { min: 0, average: 0, max: 0 };
    return {
      min: Math.floor(this.#latencyMin),
      average: Math.floor(this.#latencySum / this.#answers),
      max: Math.floor(this.#latencyMax),
    };
  }

  reset(): void {
    this.packetsReceived = 0;
    this.packetsSent = 0;
    this.lastOperation = undefined;
    this.lastXid = -1;
    this.lastZxid = undefined;
    this.lastResponseAt = 0;
    this.lastLatencyMs = 0;
    this.#answers = 0;
    this.#latencySum = 0;
    this.#latencyMin = Number.POSITIVE_INFINITY;
    this.#latencyMax = 0;
  }
}

/** The original's short name of an operation, `NA` for none. */
export const shortNameOf = (operation: number | undefined): string =>
  (operation === undefined ? undefined : SHORT_NAMES.get(operation)) ?? 'NA';

/** As `FinalRequestProcessor` sets them. */
const SHORT_NAMES: ReadonlyMap<number, string> = new Map<number, string>([
  [OpCode.ping, 'PING'],
  [OpCode.createSession, 'SESS'],
  [OpCode.multi, 'MULT'],
  [OpCode.multiRead, 'MLTR'],
  [OpCode.create, 'CREA'],
  [OpCode.create2, 'CREA'],
  [OpCode.createTTL, 'CREA'],
  [OpCode.createContainer, 'CREA'],
  [OpCode.delete, 'DELE'],
  [OpCode.deleteContainer, 'DELE'],
  [OpCode.setData, 'SETD'],
  [OpCode.reconfig, 'RECO'],
  [OpCode.setACL, 'SETA'],
  [OpCode.closeSession, 'CLOS'],
  [OpCode.sync, 'SYNC'],
  [OpCode.check, 'CHEC'],
  [OpCode.exists, 'EXIS'],
  [OpCode.getData, 'GETD'],
  [OpCode.setWatches, 'SETW'],
  [OpCode.setWatches2, 'STW2'],
  [OpCode.addWatch, 'ADDW'],
  [OpCode.getACL, 'GETA'],
  [OpCode.getChildren, 'GETC'],
  [OpCode.getChildren2, 'GETC'],
  [OpCode.getAllChildrenNumber, 'GETACN'],
  [OpCode.checkWatches, 'CHKW'],
  [OpCode.removeWatches, 'REMW'],
  [OpCode.whoAmI, 'HOMI'],
  [OpCode.getEphemerals, 'GETE'],
]);
