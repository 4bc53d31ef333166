import { describe, expect, test } from 'vitest';
import { TextRunLog } from './run-log.ts';

describe('TextRunLog', () => {
  const makeLog = (myid?: number) => {
    const lines: string[] = [];
    const now = () => new Date(2026, 10, 23, 3, 1, 2, 7);
    const log = new TextRunLog({
      output: { write: (line) => lines.push(line) },
      now,
      ...(myid === undefined ? {} : { myid }),
    });
    return { log, lines };
  };

  test('writes lines in the form of the original, in local time', () => {
    const { log, lines } = makeLog(1);
    log.info('serving');
    log.warn('slow');
    log.error('broken');
    expect(lines).toEqual([
      '2026-11-23 03:01:02,007 [myid:1] - INFO  - serving\n',
      '2026-11-23 03:01:02,007 [myid:1] - WARN  - slow\n',
      '2026-11-23 03:01:02,007 [myid:1] - ERROR - broken\n',
    ]);
  });

  test('leaves the number out for a server alone', () => {
    const { log, lines } = makeLog();
    log.info('serving');
    expect(lines[0]).toContain(' [myid:] - ');
  });

  test('keeps an event on one line, so that nobody can forge another', () => {
    const { log, lines } = makeLog(1);
    log.info('one\r\n2026-11-23 forged\ntwo');
    expect(lines[0]).toBe('2026-11-23 03:01:02,007 [myid:1] - INFO  - one\\n2026-11-23 forged\\ntwo\n');
  });
});
