/**
 * Reads along what servers say to each other: packets of the quorum port, notifications of the election port. It relies on a server
 * writing whole packets, which it does at the end of a turn, and on a snapshot leaving in writes of its own.
 */
import { QuorumPacketType, toZxid, type Zxid } from 'zookeeper-protocol-ts';
import { type Notification, readNotification } from '../../server/src/election/notification.ts';
import type { Observation } from './observation.ts';

export const QUORUM_PORT = 2888;
export const ELECTION_PORT = 3888;

export type PacketName = keyof typeof QuorumPacketType;

/** A packet on its way, or about to be. */
export interface SeenPacket {
  readonly from: string;
  readonly to: string;
  readonly name: PacketName;
  readonly zxid: Zxid;
}

export interface SeenNotification extends Notification {
  readonly from: string;
  readonly to: string;
}

type Written = Extract<Observation, { readonly kind: 'written' }>;

const NAMES = new Map(Object.entries(QuorumPacketType).map(([name, type]) => [type as number, name as PacketName]));
const SIGNATURE = Buffer.from('BenWasHere');

export class QuorumWire {
  /** Streams on which a snapshot is being sent. */
  readonly #snapshots = new Set<string>();

  /** The packets in one write. */
  *packets({ from, to, stream, bytes }: Written): Generator<SeenPacket> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#snapshots.has(stream)) {
      if (buffer.subarray(-SIGNATURE.length).equals(SIGNATURE)) this.#snapshots.delete(stream);
      return;
    }
    for (let at = 0; at < buffer.length; ) {
      const name = NAMES.get(buffer.readInt32BE(at));
      if (name === undefined) throw new Error(`${from} writes what is no quorum packet to ${to}`);
      yield { from, to, name, zxid: toZxid(buffer.readBigInt64BE(at + 4)) };
      if (name === 'SNAP') this.#snapshots.add(stream);
      at = packetEnd(buffer, at);
    }
  }

  /** The notification in one write, if it is one. */
  notification({ from, to, bytes }: Written): SeenNotification | undefined {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    // An introduction begins with a negative number.
    if (buffer.length < 4 || buffer.readInt32BE(0) !== buffer.length - 4) return undefined;
    return { ...readNotification(buffer.subarray(4)), from, to };
  }
}

/** `type int, zxid long, data buffer, authinfo vector of (scheme string, id string)`. */
function packetEnd(buffer: Buffer, at: number): number {
  const afterLength = (position: number): number => position + 4 + Math.max(buffer.readInt32BE(position), 0);
  let end = afterLength(at + 12);
  const strings = Math.max(buffer.readInt32BE(end), 0) * 2;
  end += 4;
  for (let i = 0; i < strings; i++) end = afterLength(end);
  return end;
}
