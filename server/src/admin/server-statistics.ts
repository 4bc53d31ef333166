import { Summary } from './metrics.ts';

/** What `srvr` tells of a server as a whole, since its start or since `srst` (the original's `ServerStats`). */
export class ServerStatistics {
  /** From the arrival of a request to its answer, ms. */
  readonly latency = new Summary();
  readonly responseSizes = new ResponseSizes();
  /** Of the transactions that this server has proposed as a leader; set back when a reign begins. */
  readonly proposalSizes = new ResponseSizes();
  /** Requests, connect requests and four-letter words. */
  packetsReceived = 0;
  /** Replies, events, and answers to four-letter words. */
  packetsSent = 0;
  /** Syncs of the log that took longer than `fsync.warningthresholdms`. Not set back, as in the original. */
  slowSyncs = 0;
  /** Kept and told, as in the original, where it chooses what is logged at the finest level. Nothing here looks at it. */
  traceMask = 306n;

  reset(): void {
    this.latency.reset();
    this.responseSizes.reset();
    this.proposalSizes.reset();
    this.packetsReceived = 0;
    this.packetsSent = 0;
  }
}

/** The sizes of the last, the smallest and the largest response or proposal in bytes; -1 before there was one (`BufferStats`). */
export class ResponseSizes {
  last = -1;
  min = -1;
  max = -1;

  record(bytes: number): void {
    this.last = bytes;
    if (this.min === -1 || bytes < this.min) this.min = bytes;
    if (bytes > this.max) this.max = bytes;
  }

  reset(): void {
    this.last = -1;
    this.min = -1;
    this.max = -1;
  }
}
