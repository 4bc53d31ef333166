import type { Codec } from '../codec.ts';
import { type ServerId, toServerId, toZxid, type Zxid } from '../ids.ts';
import type { JuteReader } from '../jute/reader.ts';
import type { JuteWriter } from '../jute/writer.ts';
import { type Id, identity } from './acl.ts';

/**
 * What leader and learners send each other on the quorum port (`QuorumPacket` and `LearnerInfo` of zookeeper.jute). The records
 * stand back to back, without a length in front.
 */

/** The kinds of packet, with the original's numbers (`Leader.java`). */
export const QuorumPacketType = {
  REQUEST: 1,
  PROPOSAL: 2,
  ACK: 3,
  COMMIT: 4,
  PING: 5,
  REVALIDATE: 6,
  SYNC: 7,
  INFORM: 8,
  COMMITANDACTIVATE: 9,
  NEWLEADER: 10,
  FOLLOWERINFO: 11,
  UPTODATE: 12,
  DIFF: 13,
  TRUNC: 14,
  SNAP: 15,
  OBSERVERINFO: 16,
  LEADERINFO: 17,
  ACKEPOCH: 18,
  INFORMANDACTIVATE: 19,
} as const;
export type QuorumPacketType = (typeof QuorumPacketType)[keyof typeof QuorumPacketType];

/** `type int, zxid long, data buffer, authinfo vector of Id`. */
export interface QuorumPacket {
  /** A packet type, as sent: not known to be one of ours. */
  readonly type: number;
  readonly zxid: Zxid;
  readonly data: Uint8Array | null;
  readonly authinfo: readonly Id[] | null;
}

const ID_BYTES_MIN = 8;

export const quorumPacket: Codec<QuorumPacket> = {
  read: (reader) => ({
    type: reader.readInt(),
    zxid: toZxid(reader.readLong()),
    data: reader.readBuffer(),
    authinfo: reader.readVector(identity.read, ID_BYTES_MIN),
  }),
  write: (writer, value) => {
    writer.writeInt(value.type);
    writer.writeLong(value.zxid);
    writer.writeBuffer(value.data);
    writer.writeVector(value.authinfo, identity.write);
  },
};

/** What a learner says of itself: `serverid long, protocolVersion int, configVersion long`. */
export interface LearnerInfo {
  readonly serverId: ServerId;
  readonly protocolVersion: number;
  /** Version of the configuration that it knows; 0 where it is static. */
  readonly configVersion: bigint;
}

/** ZAB 1.0, the only one that there is. */
export const LEARNER_PROTOCOL_VERSION = 0x10000;

export const learnerInfo: Codec<LearnerInfo> = {
  /** Servers of 3.4 send no version of the configuration. */
  read: (reader: JuteReader) => ({
    serverId: toServerId(reader.readLongAsNumber()),
    protocolVersion: reader.readInt(),
    configVersion: reader.remaining >= 8 ? reader.readLong() : 0n,
  }),
  write: (writer: JuteWriter, value) => {
    writer.writeLongFromNumber(value.serverId);
    writer.writeInt(value.protocolVersion);
    writer.writeLong(value.configVersion);
  },
};
