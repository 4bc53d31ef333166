import { describe, expect, it } from 'vitest';
import {
  JuteWriter,
  MarshallingError,
  type QuorumPacket,
  QuorumPacketType,
  quorumPacket,
  toZxid,
} from 'zookeeper-protocol-ts';
import { QuorumPacketReader } from './quorum-packets.ts';

const PACKETS: readonly QuorumPacket[] = [
  { type: 3, zxid: toZxid(5n), data: null, authinfo: null },
  { type: 2, zxid: toZxid(6n), data: Buffer.from('data'), authinfo: [] },
  { type: 1, zxid: toZxid(-1n), data: Buffer.alloc(0), authinfo: [{ scheme: 'ip', id: '::1' }] },
];

function bytesOf(packets: readonly QuorumPacket[]): Buffer {
  const writer = new JuteWriter();
  for (const packet of packets) quorumPacket.write(writer, packet);
  return Buffer.from(writer.take());
}

describe('a stream of quorum packets', () => {
  it('is cut into packets wherever the network has cut it', () => {
    const reader = new QuorumPacketReader();
    const read: QuorumPacket[] = [];
    for (const byte of bytesOf(PACKETS)) {
      reader.push(Uint8Array.of(byte));
      for (let packet = reader.next(); packet !== undefined; packet = reader.next()) read.push(packet);
    }
    expect(read).toEqual(PACKETS);
  });

  const bare = (type: number, zxid: bigint): QuorumPacket => ({ type, zxid: toZxid(zxid), data: null, authinfo: null });
  const readAll = (packets: readonly QuorumPacket[]): QuorumPacket[] => {
    const reader = new QuorumPacketReader();
    reader.push(bytesOf(packets));
    const read: QuorumPacket[] = [];
    for (let packet = reader.next(); packet !== undefined; packet = reader.next()) read.push(packet);
    return read;
  };
  const { ACK, COMMIT, PING } = QuorumPacketType;

  it.each([
    ['acknowledgements', ACK],
    ['commits', COMMIT],
  ])('has one word for %s in a row', (_, type) => {
    expect(readAll([5n, 6n, 7n].map((zxid) => bare(type, zxid)))).toEqual([bare(type, 7n)]);
  });

  it.each([
    ['of both kinds', bare(ACK, 5n), bare(COMMIT, 6n)],
    ['with a gap', bare(ACK, 5n), bare(ACK, 7n)],
    ['of two epochs', bare(ACK, 0x1_ffff_ffffn), bare(ACK, 0x2_0000_0000n)],
    ["of which the first is about an epoch's beginning", bare(ACK, 0x1_0000_0000n), bare(ACK, 0x1_0000_0001n)],
    ['of another kind', bare(PING, 5n), bare(PING, 6n)],
    ['of which one has data', bare(ACK, 5n), { ...bare(ACK, 6n), data: Buffer.from('x') }],
  ])('has two words for two packets %s', (_, one, other) => {
    expect(readAll([one, other])).toEqual([one, other]);
  });

  it('gives away what is behind a packet', () => {
    const reader = new QuorumPacketReader();
    reader.push(Buffer.concat([bytesOf(PACKETS.slice(0, 1)), Buffer.from('snapshot')]));
    reader.next();
    expect(reader.takeRest().toString()).toBe('snapshot');
    expect(reader.next()).toBeUndefined();
  });

  it.each([
    ['more data than a packet may have', '7fffffff'],
    ['data of a negative length', 'fffffffe'],
  ])('is refused with %s, before it has arrived', (_, length) => {
    const reader = new QuorumPacketReader();
    reader.push(Buffer.from(`00000002${'00'.repeat(8)}${length}00000000`, 'hex'));
    expect(() => reader.next()).toThrow(MarshallingError);
  });
});
