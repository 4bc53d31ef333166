import { describe, expect, it } from 'vitest';
import { complete } from './completion.ts';
import { ShellUnderTest } from './shell.fixture.ts';

const names = ['get', 'getAcl', 'ls'];

async function offered(line: string, { up = true } = {}) {
  const { server, shell } = new ShellUnderTest({ up, paths: ['/a', '/ab', '/a/b', '/a/c', '/with space'] });
  const completion = complete(line, { names, zookeeper: shell.zookeeper });
  await server.clock.advance(1000);
  return completion;
}

describe('the tab key', () => {
  it.each([
    ['', [['get ', 'getAcl ', 'ls '], '']],
    ['ge', [['get ', 'getAcl '], 'ge']],
    ['  l', [['ls '], 'l']],
    ['x', [[], 'x']],
    ['get /', [['/a', '/ab'], '/']],
    ['get /a', [['/a', '/ab'], '/a']],
    ['get -s /a/', [['/a/b', '/a/c'], '/a/']],
    ['get /none/x', [[], '/none/x']],
    ['get a', [[], 'a']],
  ])('behind %j offers %j', async (line, completion) => {
    expect(await offered(line)).toEqual(completion);
  });

  it('offers no path without a connection', async () => {
    expect(await offered('get /a', { up: false })).toEqual([[], '/a']);
  });
});
