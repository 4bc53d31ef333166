import { epochOf, JuteReader, JuteWriter, MarshallingError, toEpoch, toServerId, toZxid } from 'zookeeper-protocol-ts';
import type { Vote } from './vote.ts';

/**
 * What servers tell each other on the election port (`FastLeaderElection.Notification`), byte for byte:
 *
 *     state int, leader long, zxid long, round long           28 bytes, all that the oldest servers send
 *     peerEpoch long, version int                             3.4: version 1
 *     configuration: length int, text                         3.5 and later: version 2
 */

/** What a server is doing, in the order of the numbers on the wire. */
export type PeerState = 'LOOKING' | 'FOLLOWING' | 'LEADING' | 'OBSERVING';

export interface Notification extends Vote {
  readonly state: PeerState;
  /** The sender's logical clock: which election this is about. */
  readonly round: number;
  /** 0 of servers that are too old to say; they know no `peerEpoch` and no configuration. */
  readonly version: number;
  /** The sender's configuration as text; empty if it sends none. */
  readonly configuration: string;
}

const STATES: readonly PeerState[] = ['LOOKING', 'FOLLOWING', 'LEADING', 'OBSERVING'];

const BYTES_MIN = 28;
const BYTES_WITH_EPOCH = 40;
/** What is sent. */
export const NOTIFICATION_VERSION = 2;

/** @throws MarshallingError for what is no notification */
export function readNotification(bytes: Uint8Array): Notification {
  if (bytes.length < BYTES_MIN) throw new MarshallingError(`a notification of ${bytes.length} bytes`);
  const reader = new JuteReader(bytes);
  const state = STATES[reader.readInt()];
  if (state === undefined) throw new MarshallingError('a notification from a server in an unknown state');
  const leader = toServerId(reader.readLongAsNumber());
  const zxid = toZxid(reader.readLong());
  const round = reader.readLongAsNumber();
  if (bytes.length < BYTES_WITH_EPOCH) {
    return { state, leader, zxid, round, peerEpoch: epochOf(zxid), version: 0, configuration: '' };
  }
  const peerEpoch = toEpoch(reader.readLongAsNumber());
  const version = reader.readInt();
  // 3.4 sends 1 and means no more than the oldest.
  if (version < NOTIFICATION_VERSION) return { state, leader, zxid, round, peerEpoch, version: 0, configuration: '' };
  const configuration = reader.readBuffer()?.toString('utf8') ?? '';
  return { state, leader, zxid, round, peerEpoch, version, configuration };
}

export function writeNotification(notification: Notification): Uint8Array {
  const writer = new JuteWriter();
  writer.writeInt(STATES.indexOf(notification.state));
  writer.writeLongFromNumber(notification.leader);
  writer.writeLong(notification.zxid);
  writer.writeLongFromNumber(notification.round);
  writer.writeLongFromNumber(notification.peerEpoch);
  writer.writeInt(NOTIFICATION_VERSION);
  writer.writeBuffer(Buffer.from(notification.configuration));
  return writer.take();
}
