import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SystemMachine } from './system-machine.ts';

const machine = new SystemMachine();

test('a folder has the bytes of the files directly in it, and none if it is missing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'system-machine-'));
  writeFileSync(join(folder, 'a'), '123');
  writeFileSync(join(folder, 'b'), '4567');
  expect(machine.folderBytes(folder)).toBe(7);
  expect(machine.folderBytes(join(folder, 'missing'))).toBe(0);
  rmSync(folder, { recursive: true });
});

test('a time has the form of java.util.Date', () => {
  expect(machine.formatTime(Date.UTC(2026, 10, 3, 3, 5, 9))).toMatch(/^\w{3} \w{3} 0[234] \d\d:\d\d:09 \S+ 2026$/);
});

test('the process has files open, memory and a past', () => {
  const { now, max } = machine.openFiles();
  if (process.platform === 'linux') expect(now).toBeGreaterThan(2);
  expect(max).toBeGreaterThanOrEqual(now);
  const { residentBytes, cpuSeconds, startedAtSeconds } = machine.usage();
  expect(residentBytes).toBeGreaterThan(1e6);
  expect(cpuSeconds).toBeGreaterThan(0);
  expect(startedAtSeconds).toBeLessThan(Date.now() / 1000);
});

test('every value of the environment is one line', () => {
  const environment = machine.environment();
  expect(environment.map(([name]) => name)).toContain('os.memory.max');
  expect(environment.filter(([, value]) => value.includes('\n'))).toEqual([]);
});
