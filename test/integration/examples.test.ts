/** The examples run, and the code in the README is one of them. Runs what `npm run build` made. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const pathOf = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url));

async function run(
  script: string,
  env: Record<string, string> = {},
  words: readonly string[] = [],
): Promise<{ code: number | null; output: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'example-'));
  try {
    const child = spawn(process.execPath, [pathOf(script), ...words], { cwd: folder, env: { ...process.env, ...env } });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += String(bytes)));
    const [code] = await once(child, 'close');
    return { code: code as number | null, output };
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('the quick start', () => {
  it('leads, and ends by itself', async () => {
    const { code, output } = await run('examples/dist/quick-start.js');
    expect(output).toMatch(/^leading, with fencing token \d+\nleading no more\n$/);
    expect(code).toBe(0);
  });

  it('is the code in the README', async () => {
    const [, code] = /```ts\n([\s\S]*?)```/.exec(await readFile(pathOf('README.md'), 'utf8')) ?? [];
    expect(code).toBe(await readFile(pathOf('examples/quick-start.ts'), 'utf8'));
  });
});

describe('transactions', () => {
  it('move money and lose none, and end by themselves', async () => {
    const { code, output } = await run('examples/dist/transactions.js');
    expect(output).toBe('savings 0, current 100, after 10 transfers\nrefused as a whole: OK, BAD_VERSION\n');
    expect(code).toBe(0);
  });
});

describe('the locks', () => {
  it('let one in at a time, refuse a token of the past, and end by themselves', async () => {
    const { code, output } = await run('examples/dist/locks.js');
    expect(output).toBe(
      [
        'the report has 6 lines',
        'without waiting: taken',
        '/example/report was not granted within 100 ms',
        'carol holds the lock: false',
        'refused, somebody else has had the lock since: carol goes on regardless',
        '2 presses run, a third one has to wait',
        'both locks held: true',
        '',
      ].join('\n'),
    );
    expect(code).toBe(0);
  });
});

describe('the read-write lock', () => {
  it('lets readers in together and a writer alone, and ends by itself', async () => {
    const { code, output } = await run('examples/dist/read-write-lock.js');
    expect(output).toBe(
      [
        'readers at the same time: 2',
        'bob reads: apples, pears',
        'alice still reads: true; bob could write: false',
        'from reading to writing: refused',
        '',
      ].join('\n'),
    );
    expect(code).toBe(0);
  });
});

describe('the queue', () => {
  it('loses no job when a worker is killed, and ends by itself', async () => {
    const { code, output } = await run('examples/dist/queue.js');
    expect(code, output).toBe(0);
    expect(output).toMatch(
      /^alpha was killed with jobs in hand: SIGKILL\n200 jobs were put, 200 were done, \d+ of them twice\n$/,
    );
  }, 60_000);
});

describe('service discovery', () => {
  it('turns from one instance to the other, leaves alone what fails, follows what is said, and ends by itself', async () => {
    const { code, output } = await run('examples/dist/service-discovery.js');
    expect(output).toBe(
      [
        'services: greeter',
        'hello from one, hello from two, hello from one',
        'hello from two, hello from two, hello from two, hello from two',
        'announced: 2, given: 1',
        'versions: one 1.0, two 1.1',
        'all gone',
        '',
      ].join('\n'),
    );
    expect(code).toBe(0);
  });
});

describe('the watch streams', () => {
  it('follow configuration, workers and tree over a restart, and end by themselves', async () => {
    const { code, output } = await run('examples/dist/watch-streams.js');
    expect(code, output).toBe(0);
    expect(output.match(/^limit: .*$/gm)?.at(-1)).toBe('limit: 20');
    expect(output).toMatch(/workers: 1 \(\+alpha\)[\s\S]*state: SUSPENDED[\s\S]*state: RECONNECTED/);
    expect(output).toMatch(/workers: 2 \(\+bravo\)/);
    expect(output).toMatch(/tree: current \/workers\/bravo\ntree: synced \/workers\n$/);
  });
});

describe('the main job', () => {
  it('shows a take-over after a kill within session timeout and two ticks, and a hand-over, and ends by itself', async () => {
    const { code, output } = await run('examples/dist/start.js');
    expect(code, output).toBe(0);
    const [, killed, heir] =
      /(\w+) is the first leader[\s\S]*?\n\s+[\d.]+ s\s+(\w+) took over [\d.]+ s after the kill/.exec(output) ?? [];
    expect(heir).not.toBe(killed);
    expect(output.match(/joined with \/MASTER_SELECTOR\/create_order\d{10}/g)).toHaveLength(3);
    expect(output).toMatch(/session 0x[0-9a-f]+ expires/);
    expect(output).toMatch(/took over \d+ ms after \w+ gave up/);
  }, 60_000);

  it('goes on on two of three servers when their leader is killed under it, and ends by itself', async () => {
    const { code, output } = await run('examples/dist/start.js', {}, ['--ensemble']);
    expect(code, output).toBe(0);
    const [, killed, next] =
      /(server \d) +led the ensemble, and was killed[\s\S]*?(server \d) leads the ensemble [\d.]+ s after the kill/.exec(
        output,
      ) ?? [];
    expect(next).toMatch(/^server \d$/);
    expect(next).not.toBe(killed);
    expect(output).toMatch(/\w+ is master on what is left of the ensemble\n/);
  }, 90_000);

  it('ends with a message that names the host and the reason when nobody is there', async () => {
    const { code, output } = await run('examples/dist/start.js', { CONNECT: '127.0.0.1:1' });
    expect(code).toBe(1);
    expect(output).toMatch(/no connection to 127\.0\.0\.1:1 .*ECONNREFUSED/);
  }, 60_000);

  it('ends with a message that names what is wrong with a mistyped connect string', async () => {
    const { code, output } = await run('examples/dist/start.js', { CONNECT: 'localhost:port' });
    expect(code).toBe(1);
    expect(output).toMatch(/connect string "localhost:port": .*host:port/);
  });
});
