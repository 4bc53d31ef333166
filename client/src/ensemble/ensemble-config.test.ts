import { expect, it } from 'vitest';
import { toHostList } from './ensemble-config.ts';

it.each([
  [
    'names',
    'server.2=zk2:2888:3888:participant;2181\nserver.1=zk1:2888:3888:participant;2182\nversion=100000000',
    'zk1:2182,zk2:2181',
  ],
  ['a client address of its own', 'server.1=10.0.0.1:2888:3888:participant;192.168.0.1:2181', '192.168.0.1:2181'],
  ['any address', 'server.1=zk1:2888:3888:observer;0.0.0.0:2181', 'zk1:2181'],
  [
    'any IPv6 address',
    'server.1=[::1]:2888:3888;[::]:2181\nserver.2=zk2:2888:3888;0:0:0:0:0:0:0:0:2181',
    '[::1]:2181,zk2:2181',
  ],
  ['an IPv6 client address', 'server.1=zk1:2888:3888;[2001:db8::1]:2181', '[2001:db8::1]:2181'],
  ['an IPv6 client address without brackets', 'server.1=zk1:2888:3888;2001:db8::1:2181', '[2001:db8::1]:2181'],
  ['several addresses of one server', 'server.1=zk1a:2888:3888|zk1b:2888:3888:participant;2181', 'zk1a:2181'],
  ['a server without a client port', 'server.1=zk1:2888:3888\nserver.2=zk2:2888:3888;2181', undefined],
  ['no client port at all', 'server.1=zk1:2888:3888\nversion=0', undefined],
  ['nothing', '', undefined],
  ['something else', 'hello\nserver.x=1', undefined],
])('%s', (_what, config, hosts) => {
  expect(toHostList(config)).toBe(hosts);
});
