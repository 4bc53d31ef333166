import { expect, test } from 'vitest';
import { InvalidConnectStringError } from '../errors.ts';
import { hostName, parseConnectString } from './connect-string.ts';

test.each([
  ['zk1', [{ host: 'zk1', port: 2181 }], '/'],
  ['zk1:2182', [{ host: 'zk1', port: 2182 }], '/'],
  [
    ' zk1 , zk2:1,',
    [
      { host: 'zk1', port: 2181 },
      { host: 'zk2', port: 1 },
    ],
    '/',
  ],
  ['10.0.0.1:2181/app/one', [{ host: '10.0.0.1', port: 2181 }], '/app/one'],
  ['zk1/', [{ host: 'zk1', port: 2181 }], '/'],
  [
    '[::1]:2183,[fe80::1%eth0]',
    [
      { host: '::1', port: 2183 },
      { host: 'fe80::1%eth0', port: 2181 },
    ],
    '/',
  ],
])('%j names its hosts and its chroot', (connectString, hosts, chroot) => {
  expect(parseConnectString(connectString)).toEqual({ hosts, chroot });
});

test.each([
  ['', 'it names no host'],
  [' , ', 'it names no host'],
  ['/app', 'it names no host'],
  ['zk1:0', 'the port of "zk1:0" is not 1–65535'],
  ['zk1:65536', 'the port of "zk1:65536" is not 1–65535'],
  ['zk1:port', '"zk1:port" is not host:port'],
  ['::1', '"::1" is not host:port (an IPv6 address needs brackets)'],
  ['zk1 zk2', '"zk1 zk2" is not host:port'],
  ['zk1/app/', 'its chroot is an invalid path "/app/": it must not end with /'],
  ['zk1//app', 'its chroot is an invalid path "//app": it has an empty component'],
])('%j is refused with the reason', (connectString, reason) => {
  expect(() => parseConnectString(connectString)).toThrow(InvalidConnectStringError);
  expect(() => parseConnectString(connectString)).toThrow(reason);
});

test('what is not a string is refused', () => {
  expect(() => parseConnectString(undefined as unknown as string)).toThrow(InvalidConnectStringError);
});

test('an IPv6 address is named in brackets', () => {
  expect(hostName({ host: '::1', port: 1 })).toBe('[::1]:1');
  expect(hostName({ host: 'zk1', port: 2181 })).toBe('zk1:2181');
});
