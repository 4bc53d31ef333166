import { describe, expect, it } from 'vitest';
import { JuteWriter, makeZxid, QuorumPacketType, quorumPacket, toEpoch, toServerId } from 'zookeeper-protocol-ts';
import { NOTIFICATION_VERSION, writeNotification } from '../../server/src/election/notification.ts';
import { QuorumWire } from './quorum-wire.ts';

const zxid = (counter: number) => makeZxid(toEpoch(2), counter);

const written = (...parts: readonly Uint8Array[]) =>
  ({ kind: 'written', from: 's1', to: 's2', port: 2888, stream: 'a', bytes: Buffer.concat(parts) }) as const;

function packet(type: QuorumPacketType, counter: number, isLong = false): Uint8Array {
  const writer = new JuteWriter();
  const authinfo = isLong ? [{ scheme: 'digest', id: 'a:b' }] : null;
  quorumPacket.write(writer, { type, zxid: zxid(counter), data: isLong ? Buffer.alloc(300) : null, authinfo });
  return writer.take();
}

const seen = (wire: QuorumWire, ...parts: readonly Uint8Array[]) =>
  [...wire.packets(written(...parts))].map(({ name, zxid: at }) => `${name} ${at & 0xffn}`);

describe('what is said on the quorum port', () => {
  it('is read packet by packet, with data and identities or without', () => {
    const parts = [
      packet(QuorumPacketType.DIFF, 3),
      packet(QuorumPacketType.REQUEST, 4, true),
      packet(QuorumPacketType.ACK, 5),
    ];
    expect(seen(new QuorumWire(), ...parts)).toEqual(['DIFF 3', 'REQUEST 4', 'ACK 5']);
  });

  it('is no packet while a snapshot is sent, up to its signature', () => {
    const wire = new QuorumWire();
    expect(seen(wire, packet(QuorumPacketType.SNAP, 3))).toEqual(['SNAP 3']);
    expect(seen(wire, Buffer.from([0, 0, 0, 99, 1, 2]))).toEqual([]);
    expect(seen(wire, Buffer.from('\0\0\0\nBenWasHere'))).toEqual([]);
    expect(seen(wire, packet(QuorumPacketType.NEWLEADER, 0))).toEqual(['NEWLEADER 0']);
  });

  it('of an unknown type is an error', () => {
    expect(() => seen(new QuorumWire(), Buffer.alloc(20))).toThrow('no quorum packet');
  });
});

describe('what is said on the election port', () => {
  it('is a notification behind its length, and nothing before the introduction is over', () => {
    const notification = {
      ...{ state: 'LOOKING' as const, leader: toServerId(3), zxid: zxid(7), round: 4, peerEpoch: toEpoch(2) },
      ...{ version: NOTIFICATION_VERSION, configuration: '' },
    } as const;
    const bytes = writeNotification(notification);
    const length = Buffer.alloc(4);
    length.writeInt32BE(bytes.length);
    const wire = new QuorumWire();
    expect(wire.notification(written(length, bytes))).toEqual({ ...notification, from: 's1', to: 's2' });
    expect(wire.notification(written(Buffer.alloc(28, 0xff)))).toBeUndefined();
  });
});
