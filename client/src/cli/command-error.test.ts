import { describe, expect, it } from 'vitest';
import { ErrorCode } from 'zookeeper-protocol-ts';
import { ConnectionLossError, errorFromCode, InvalidArgumentError } from '../errors.ts';
import { CommandError, toFailure } from './command-error.ts';

describe('a failure', () => {
  it.each([
    [ErrorCode.NO_NODE, 'Node does not exist: /x'],
    [ErrorCode.NO_CHILDREN_FOR_EPHEMERALS, 'Ephemerals cannot have children: /x'],
    [ErrorCode.NODE_EXISTS, 'Node already exists: /x'],
    [ErrorCode.NOT_EMPTY, 'Node not empty: /x'],
    [ErrorCode.NOT_READ_ONLY, 'Not a read-only call: /x'],
    [ErrorCode.INVALID_ACL, 'Acl is not valid : /x'],
    [ErrorCode.NO_AUTH, 'Insufficient permission : /x'],
    [ErrorCode.BAD_ARGUMENTS, 'Arguments are not valid : /x'],
    [ErrorCode.BAD_VERSION, 'version No is not valid : /x'],
    [ErrorCode.QUOTA_EXCEEDED, 'Quota has exceeded : /x'],
    [ErrorCode.UNIMPLEMENTED, 'KeeperErrorCode = Unimplemented for /x'],
    [ErrorCode.NO_WATCHER, 'KeeperErrorCode = No such watcher for /x'],
    [ErrorCode.SESSION_EXPIRED, 'KeeperErrorCode = Session expired for /x'],
    [ErrorCode.CONNECTION_LOSS, 'KeeperErrorCode = ConnectionLoss for /x'],
    [-99, 'error -99: /x'],
  ])('of code %i is told as %s', (code, message) => {
    expect(toFailure(errorFromCode(code, '/x'))).toMatchObject({ message, path: '/x', exitCode: 1 });
  });

  it('of a lost connection says why no server could be reached', () => {
    const failures = new Map([['zk1:2181', new Error('connect ECONNREFUSED')]]);
    const { message, code } = toFailure(new ConnectionLossError('no connection', { path: '/x', failures }));
    expect(message).toBe('KeeperErrorCode = ConnectionLoss for /x (zk1:2181: connect ECONNREFUSED)');
    expect(code).toBe('CONNECTION_LOSS');
  });

  it('without a path, or of an argument, is one line too', () => {
    expect(toFailure(errorFromCode(ErrorCode.RECONFIG_DISABLED)).message).toBe(
      'KeeperErrorCode = Reconfig is disabled',
    );
    expect(toFailure(new InvalidArgumentError('path', 'it must start with /')).message).toBe(
      'path: it must start with /',
    );
    expect(toFailure(new CommandError('no', { exitCode: 127 }))).toEqual({
      code: 'COMMAND',
      message: 'no',
      exitCode: 127,
    });
  });

  it('is only what a command can meet: a defect is thrown on', () => {
    expect(() => toFailure(new TypeError('oops'))).toThrow(TypeError);
  });
});
