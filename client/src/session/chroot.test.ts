import { expect, test } from 'vitest';
import { Chroot } from './chroot.ts';

test.each([
  ['/app', '/', '/app'],
  ['/app', '/a', '/app/a'],
  ['/app', '/app', '/app/app'],
  ['/', '/a', '/a'],
  ['/', '/', '/'],
])('below %s, the client calls %s what the server calls %s', (chroot, client, server) => {
  expect(new Chroot(chroot).toServer(client)).toBe(server);
  expect(new Chroot(chroot).toClient(server)).toBe(client);
});

test('only whole components are stripped, and only once', () => {
  const chroot = new Chroot('/app');
  expect(chroot.toClient('/application')).toBe('/application');
  expect(chroot.toClient('/app/app/a')).toBe('/app/a');
});

test('the number of a sequential znode goes below the chroot', () => {
  expect(new Chroot('/app').toServer('/', { sequential: true })).toBe('/app/');
  expect(new Chroot('/').toServer('/', { sequential: true })).toBe('/');
});
