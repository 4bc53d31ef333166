import { expect, test } from 'vitest';
import { ErrorCode } from 'zookeeper-protocol-ts';
import { ConnectionLossError, errorFromCode, NoNodeError, SessionExpiredError, ZooKeeperError } from './errors.ts';

test.each(Object.entries(ErrorCode).filter(([name]) => name !== 'OK'))('%s is the code of its error', (name, code) => {
  const error = errorFromCode(code, '/a');
  expect(error).toBeInstanceOf(ZooKeeperError);
  expect(error).toMatchObject({ code: name, path: '/a' });
  expect(error.message).toContain('/a');
});

test('an error is found by its class and has its name', () => {
  expect(errorFromCode(-101, '/a')).toBeInstanceOf(NoNodeError);
  expect(errorFromCode(-101, '/a')).toMatchObject({ name: 'NoNodeError', message: 'no such znode: /a' });
  expect(errorFromCode(-112)).toBeInstanceOf(SessionExpiredError);
});

test('a code that this version does not know keeps its number', () => {
  const error = errorFromCode(-999, '/a');
  expect(error.constructor).toBe(ZooKeeperError);
  expect(error).toMatchObject({ code: '-999', message: 'error -999: /a' });
});

test('a connection loss names every host and its reason', () => {
  const failures = new Map([
    ['zk1:2181', new Error('refused')],
    ['zk2:2181', new Error('timed out')],
  ]);
  const error = new ConnectionLossError('connection lost', { failures });
  expect(error.message).toBe('connection lost (zk1:2181: refused; zk2:2181: timed out)');
  expect(error.failures).toBe(failures);
  expect(new ConnectionLossError('connection lost').message).toBe('connection lost');
});
