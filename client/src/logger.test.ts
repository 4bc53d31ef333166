import { afterEach, describe, expect, it, vi } from 'vitest';
import { EventSource } from './event-source.ts';
import { CuratorFramework } from './framework.ts';
import { checkLogger, debugLogger, describeError, type Logger } from './logger.ts';
import { FakeServer } from './operations/fake-server.fixture.ts';
import { RetryNTimes } from './retry.ts';
import { ZooKeeper } from './zookeeper.ts';

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each[Symbol.asyncDispose]()));
});

function record() {
  const lines: string[] = [];
  const at = (level: keyof Logger) => (line: string) => void lines.push(`${level} ${line}`);
  const logger: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { logger, lines, loud: () => lines.filter((line) => !line.startsWith('debug ')) };
}

async function started(logger: Logger) {
  const server = new FakeServer();
  const client = CuratorFramework.builder()
    .connectString(server.connectString)
    .sessionTimeoutMs(60_000)
    .retryPolicy(new RetryNTimes(20, 100))
    .logger(logger)
    .ports(server.ports)
    .build();
  opened.push(client);
  client.start();
  await server.clock.settle();
  return { server, client };
}

describe("a client's logger", () => {
  it('has one line when an outage begins and one when it ends, however many attempts there were', async () => {
    const { logger, lines, loud } = record();
    const { server, client } = await started(logger);
    const before = loud().length;
    server.stop();
    const read = client.getData('/');
    await server.clock.advance(25_000);
    server.start();
    await server.clock.advance(5000);
    await read;
    expect(loud().slice(before)).toEqual([
      expect.stringMatching(/^warn SUSPENDED \(zk1:2181: /),
      expect.stringMatching(/^info RECONNECTED: zk1:2181, session 0x1$/),
    ]);
    expect(lines.filter((line) => /^debug zk1:2181: Error: connect ECONNREFUSED/.test(line)).length).toBeGreaterThan(3);
    expect(lines.filter((line) => /^debug attempt 1 failed, next in 100 ms/.test(line))).toHaveLength(1);
  });

  it('has one line for a session that is lost', async () => {
    const { logger, loud } = record();
    const { server } = await started(logger);
    const before = loud().length;
    server.stop();
    await server.clock.advance(200_000);
    expect(
      loud()
        .slice(before)
        .map((line) => line.split(/[ :]/, 2).join(' ')),
    ).toEqual(['warn SUSPENDED', 'warn LOST']);
  });

  it('hears of background failures and of listeners that throw, with their stacks', async () => {
    const { logger, loud } = record();
    const { server, client } = await started(logger);
    client.reportError(new Error('nobody waits for this'));
    client.on('state', () => {
      throw new Error('a bad listener');
    });
    server.stop();
    await server.clock.advance(1000);
    expect(loud()).toContainEqual(
      expect.stringMatching(/^error in the background: Error: nobody waits for this\n\s+at /),
    );
    expect(loud()).toContainEqual(expect.stringMatching(/^error a listener threw: Error: a bad listener\n\s+at /));
  });

  it('hears the essence of a session that is used by itself', async () => {
    const { logger, loud } = record();
    const server = new FakeServer();
    const zookeeper = new ZooKeeper({ connectString: server.connectString, logger, ports: server.ports });
    opened.push(zookeeper);
    await server.clock.settle();
    server.stop();
    await server.clock.advance(10_000);
    expect(loud()).toEqual([
      'info connected to zk1:2181, session 0x1, timeout 30000 ms',
      expect.stringMatching(/^warn no connection, session 0x1 \(zk1:2181: /),
    ]);
  });
});

describe('a logger', () => {
  it.each([
    ['console', console],
    ['one of four functions', record().logger],
  ])('may be %s', (_, logger) => {
    expect(checkLogger(logger)).toBe(logger);
  });

  it('needs all four levels', () => {
    const { error: _, ...three } = record().logger;
    expect(() => checkLogger(three as Logger)).toThrow('logger: it has no method error');
  });

  it('is silent by default', () => {
    const written = vi.spyOn(process.stderr, 'write');
    debugLogger('zookeeper:test').error('not to be seen');
    new EventSource<{ event: [] }>().emit('event');
    expect(written).not.toHaveBeenCalled();
    written.mockRestore();
  });

  it('is told of what is no error, too', () => {
    expect([describeError('text'), describeError(undefined), describeError(new TypeError('odd'))]).toEqual([
      'text',
      'undefined',
      'TypeError: odd',
    ]);
  });
});
