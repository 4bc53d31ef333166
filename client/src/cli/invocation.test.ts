import { describe, expect, it } from 'vitest';
import { parseInvocation } from './invocation.ts';

const DEFAULTS = {
  connectString: 'localhost:2181',
  timeoutMs: 30_000,
  canBeReadOnly: false,
  waitsForConnection: false,
};

describe('the command line', () => {
  it('without a word is a shell on the local server', () => {
    expect(parseInvocation([])).toEqual({ kind: 'shell', options: DEFAULTS, json: false, command: [] });
  });

  it('has options, then a command with flags of its own', () => {
    expect(
      parseInvocation([
        '-server',
        'a:1,b:2/app',
        '-timeout',
        '5000',
        '-r',
        '-waitforconnection',
        '--json',
        'get',
        '-s',
        '/x',
      ]),
    ).toEqual({
      kind: 'shell',
      options: { connectString: 'a:1,b:2/app', timeoutMs: 5000, canBeReadOnly: true, waitsForConnection: true },
      json: true,
      command: ['get', '-s', '/x'],
    });
  });

  it.each([['-h'], ['-help'], ['--help']])('%s asks for help', (word) => {
    expect(parseInvocation([word])).toEqual({ kind: 'help' });
  });

  it.each([
    [['-server'], 'Error: no argument found for option -server'],
    [['-timeout'], 'Error: no argument found for option -timeout'],
    [['-timeout', '5s'], '-timeout: 5s is not a number of milliseconds'],
    [['-timeout', '0'], '-timeout: 0 is not a number of milliseconds'],
    [['-timeout', '2147483648'], '-timeout: 2147483648 is not a number of milliseconds'],
    [['-server', 'a:b'], 'connect string "a:b": "a:b" is not host:port'],
    [['-server', 'a/b/'], 'connect string "a/b/": its chroot is an invalid path'],
    [['-client-configuration', 'x'], '-client-configuration: a file of Java properties means nothing to this client'],
    [['-secure'], 'unknown option: -secure'],
  ])('%j is refused: %s', (words, problem) => {
    expect(parseInvocation(words)).toEqual({ kind: 'refused', problem: expect.stringContaining(problem) });
  });
});
