import type { Zxid } from 'zookeeper-protocol-ts';
import type { Millis } from '../ports.ts';

/** What the AdminServer tells of the stream to a learner, since it began or was set back (the fields of the original's `LearnerHandler`). */
export class LearnerStatistics {
  /** On the monotonic clock. Not set back. */
  readonly establishedAt: Millis;
  packetsReceived = 0;
  packetsSent = 0;
  /** What its clients have asked of the leader. */
  requests = 0;
  /** The last zxid that it was told; undefined before the first. */
  lastZxid: Zxid | undefined;

  constructor(establishedAt: Millis) {
    this.establishedAt = establishedAt;
  }

  /** @param zxid that it is about, if any */
  onSent(zxid: Zxid | undefined): void {
    this.packetsSent++;
    if (zxid !== undefined) this.lastZxid = zxid;
  }

  onReceived({ isRequest }: { readonly isRequest: boolean }): void {
    this.packetsReceived++;
    if (isRequest) this.requests++;
  }

  reset(): void {
    this.packetsReceived = 0;
    this.packetsSent = 0;
    this.requests = 0;
    this.lastZxid = undefined;
  }
}
