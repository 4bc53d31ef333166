import { describe, expect, test } from 'vitest';
import { toZxid } from 'zookeeper-protocol-ts';
import { commandLinks, runCommand } from './commands.ts';
import { connectionWith, SESSION, viewWith } from './server-view.fixture.ts';

const run = (name: string, view = viewWith(), parameters: Record<string, string> = {}): string =>
  runCommand(name, new Map(Object.entries(parameters)), view);
const NOTHING = new Map<string, string>();

describe('a command', () => {
  test('is known under each of its names, and told under the first', () => {
    for (const name of ['configuration', 'conf', 'config']) {
      expect(JSON.parse(run(name))).toMatchObject({ client_port: 2181, command: 'configuration', error: null });
    }
  });

  test('that is unknown is an error in the answer', () => {
    expect(run('nope')).toBe('{\n  "command" : "nope",\n  "error" : "Unknown command: nope"\n}');
    expect(run('toString')).toContain('Unknown command: toString');
  });

  test('that needs a server says so while there is none; the others answer', () => {
    const view = viewWith({ mode: undefined });
    expect(JSON.parse(run('ruok', view))).toEqual({
      command: 'ruok',
      error: 'This ZooKeeper instance is not currently serving requests',
    });
    for (const name of ['environment', 'get_trace_mask', 'set_trace_mask', 'monitor', 'system_properties']) {
      expect(run(name, view)).not.toContain('not currently serving');
    }
  });
});

test('the list has a link to each command, in order', () => {
  const links = commandLinks('/zk').split('\n<br/>\n');
  expect(links.slice(0, 2)).toEqual([
    '<a href="/zk/configuration">configuration</a>',
    '<a href="/zk/connection_stat_reset">connection_stat_reset</a>',
  ]);
  expect(links).toHaveLength(27);
});

test('connections are told with exact session ids', () => {
  const view = viewWith({ connections: new Set([connectionWith({ sessionId: SESSION, sessionTimeoutMs: 4000 })]) });
  expect(run('connections', view)).toContain('    "session_id" : 72057852055257089,\n    "last_operation" : "NA",\n');
});

test('the last snapshot is told in hex, and -1 as the original writes it if there is none', () => {
  expect(run('last_snapshot')).toContain('"zxid" : "ffffffffffffffff",\n  "timestamp" : -1,');
  const lastSnapshot = { zxid: toZxid(0x51n), takenAtSeconds: 1_795_366_516 };
  expect(run('last_snapshot', viewWith({ lastSnapshot }))).toContain('"zxid" : "51",\n  "timestamp" : 1795366516,');
});

test.each([
  ['-5', '-5'],
  ['9223372036854775807', '9223372036854775807'],
])('set_trace_mask takes %s', (mask, told) => {
  const view = viewWith();
  expect(run('set_trace_mask', view, { traceMask: mask })).toContain(`"tracemask" : ${told},`);
  expect(runCommand('get_trace_mask', NOTHING, view)).toContain(`"tracemask" : ${told},`);
});

test.each(['x', '', '1.5', '9223372036854775808'])('set_trace_mask refuses "%s" and changes nothing', (mask) => {
  const view = viewWith();
  expect(run('set_trace_mask', view, { traceMask: mask })).toContain(`requires long traceMask argument, got ${mask}"`);
  expect(view.statistics.traceMask).toBe(306n);
});
