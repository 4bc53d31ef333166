import { describe, expect, it } from 'vitest';
import { MarshallingError, toEpoch, toServerId, toZxid } from 'zookeeper-protocol-ts';
import { NOTIFICATION_VERSION, type Notification, readNotification, writeNotification } from './notification.ts';

const notification: Notification = {
  ...{ state: 'LEADING', leader: toServerId(3), zxid: toZxid(0x1_0000_0005n), round: 2, peerEpoch: toEpoch(1) },
  ...{ version: NOTIFICATION_VERSION, configuration: 'version=0' },
};

const HEX = [
  ...['00000002', '0000000000000003', '0000000100000005', '0000000000000002'],
  ...['0000000000000001', '00000002', '00000009', Buffer.from('version=0').toString('hex')],
].join('');

describe('a notification', () => {
  it('stands on the wire as that of the original', () => {
    expect(Buffer.from(writeNotification(notification)).toString('hex')).toBe(HEX);
    expect(readNotification(Buffer.from(HEX, 'hex'))).toEqual(notification);
  });

  it('of 3.4 has no configuration, and counts as one without an epoch that can be compared', () => {
    const old = Buffer.from(`${HEX.slice(0, 72)}00000001`, 'hex');
    expect(old).toHaveLength(40);
    expect(readNotification(old)).toEqual({ ...notification, version: 0, configuration: '' });
  });

  it('of the oldest servers has the epoch of its zxid', () => {
    expect(readNotification(Buffer.from(HEX.slice(0, 56), 'hex'))).toMatchObject({ peerEpoch: 1, version: 0 });
  });

  it.each([
    ['is too short', HEX.slice(0, 54)],
    ['tells an unknown state', `00000004${HEX.slice(8)}`],
    ['announces more configuration than there is', HEX.slice(0, -2)],
    ['announces a configuration of a negative length', `${HEX.slice(0, 80)}fffffffe`],
  ])('is refused when it %s', (_, hex) => {
    expect(() => readNotification(Buffer.from(hex, 'hex'))).toThrow(MarshallingError);
  });
});
