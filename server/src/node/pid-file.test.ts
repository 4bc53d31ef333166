import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FOREGROUND, isServerRunning, PidFile } from './pid-file.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pid-file-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

describe('a pid file', () => {
  test('holds a number as the original writes it, until it is removed', () => {
    const file = new PidFile(join(folder, 'pid'));
    expect(file.read()).toBeUndefined();
    file.write(4711);
    expect(file.read()).toBe(4711);
    file.remove();
    file.remove();
    expect(file.read()).toBeUndefined();
  });

  test('may end with a line end, and is refused when it holds anything else', () => {
    const file = new PidFile(join(folder, 'pid'));
    writeFileSync(file.path, '12\n');
    expect(file.read()).toBe(12);
    for (const text of ['', '0', '-1', '1 2', 'x']) {
      writeFileSync(file.path, text);
      expect(() => file.read()).toThrow('holds no process id');
    }
  });
});

describe('a process', () => {
  test('is taken for a server only by its command line', async () => {
    // The server's word stands behind the program; this process lacks it.
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()', '--', FOREGROUND], { stdio: 'pipe' });
    await once(child, 'spawn');
    const pid = child.pid ?? 0;
    expect(isServerRunning(pid)).toBe(true);
    expect(isServerRunning(process.pid)).toBe(process.platform !== 'linux');
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    expect(isServerRunning(pid)).toBe(false);
  });
});
