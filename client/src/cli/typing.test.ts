import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ShellUnderTest } from './shell.fixture.ts';
import { readCommands } from './typing.ts';

/** Lets time pass until the reading is over. */
async function ended(test: ShellUnderTest, reading: Promise<void>): Promise<void> {
  let isOver = false;
  const done = reading.finally(() => {
    isOver = true;
  });
  await expect.poll(async () => test.server.clock.advance(100).then(() => isOver)).toBe(true);
  await done;
}

describe('lines from a pipe', () => {
  it('are done in their order, without a prompt, until they end', async () => {
    const test = await new ShellUnderTest({ paths: ['/a'] }).connected();
    const input = new PassThrough();
    input.end('create /a/b x\nget /a/b\nls /a');
    await ended(test, readCommands(test.shell, { ...test, input, isInteractive: false }, new AbortController().signal));
    expect(test.printed()).toEqual({ out: ['x', '[b]'], err: ['Created /a/b'] });
    expect(test.shell.isOver).toBe(false);
  });

  it('end with quit, though the pipe is still open', async () => {
    const test = await new ShellUnderTest({ paths: ['/a'] }).connected();
    const input = new PassThrough();
    input.write('quit\nls /a\n');
    await ended(test, readCommands(test.shell, { ...test, input, isInteractive: false }, new AbortController().signal));
    expect(test.printed().out).not.toContain('[]');
    expect(input.listenerCount('data')).toBe(0);
  });

  it('end when they are interrupted', async () => {
    const test = await new ShellUnderTest().connected();
    const interruption = new AbortController();
    const input = new PassThrough();
    const reading = readCommands(test.shell, { ...test, input, isInteractive: false }, interruption.signal);
    await test.server.clock.settle();
    interruption.abort();
    await ended(test, reading);
    expect(test.printed()).toEqual({ out: [], err: [] });
  });
});

describe('lines from a terminal', () => {
  const visible = (test: ShellUnderTest): string => test.output.take().join('\n');
  const start = async (paths: readonly string[]) => {
    const test = await new ShellUnderTest({ paths }).connected();
    const input = new PassThrough();
    const reading = readCommands(test.shell, { ...test, input, isInteractive: true }, new AbortController().signal);
    await test.server.clock.settle();
    return { test, input, reading };
  };

  it('have a prompt that counts them', async () => {
    const { test, input, reading } = await start(['/a']);
    input.write('ls /\r');
    await test.server.clock.settle();
    input.write('get /none\r');
    await test.server.clock.settle();
    input.end();
    await ended(test, reading);
    const shown = visible(test);
    expect(shown).toContain('[zk: zk1:2181(CONNECTED) 0] ');
    expect(shown).toContain('[a]\n');
    expect(shown).toContain('[zk: zk1:2181(CONNECTED) 1] ');
    expect(test.error.take()).toEqual(['Node does not exist: /none']);
  });

  it('are completed by the tab key: commands, then paths', async () => {
    const { test, input, reading } = await start(['/apple', '/apple/core']);
    for (const keys of ['his', '\t', '\r', 'ls /ap', '\t', '/', '\t', '\r']) {
      input.write(keys);
      await test.server.clock.settle();
    }
    input.end();
    await ended(test, reading);
    expect(test.shell.history).toEqual(['history ', 'ls /apple/core']);
  });

  it('have their prompt drawn anew, with what was typed, below an event that comes meanwhile', async () => {
    const { test, input, reading } = await start(['/a']);
    input.write('addWatch /a\r');
    await test.server.clock.settle();
    input.write('get /');
    await test.server.clock.settle();
    visible(test);
    test.server.write('/a', 'x');
    await test.server.clock.settle();
    input.write('a\r');
    await test.server.clock.settle();
    input.end();
    await ended(test, reading);
    expect(visible(test)).toMatch(/type:NodeDataChanged path:\/a\n[^\n]*\(CONNECTED\) 1\] get \//);
    expect(test.shell.history).toEqual(['addWatch /a', 'get /a']);
  });

  it('end at control-C, also under a command that is never answered', async () => {
    const { test, input, reading } = await start(['/a']);
    test.server.fate = () => 'ignore';
    input.write('get /a\r');
    await test.server.clock.settle();
    input.write('\u0003');
    await ended(test, reading);
    expect(test.shell.isOver).toBe(true);
    expect(test.error.take()).toEqual([expect.stringContaining('/a')]);
  });
});
