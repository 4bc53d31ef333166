import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Stream } from 'zookeeper-server-ts';
import type { Process } from './process.ts';
import { SimulationError, World } from './world.ts';

/** A toy server: sends back what it gets, appends it to a log, and answers only when that is synced. */
const serveEcho = (process: Process): void => {
  const disk = process.disk();
  const log = disk.open('log');
  let asked: { stream: Stream; bytes: Uint8Array }[] = [];
  let busy = false;
  const flush = () => {
    if (busy || asked.length === 0) return;
    busy = true;
    const batch = asked;
    asked = [];
    log.write(log.size, Buffer.concat(batch.map(({ bytes }) => bytes)), () =>
      log.sync(() => {
        busy = false;
        for (const { stream, bytes } of batch) stream.write(bytes);
        flush();
      }),
    );
  };
  process.network.listen(
    { host: '0.0.0.0', port: 7 },
    {
      onListening: () => disk.syncDirectory(() => {}),
      onFailure: (error) => process.runLog.error(error.message),
      onStream: (stream) => ({
        onBytes: (bytes) => {
          asked.push({ stream, bytes });
          process.clock.soon(flush);
        },
        onDrain: () => {},
        onClose: () => {},
      }),
    },
  );
};

/** A toy client with promises: sends a line, awaits the echo, waits a while, again; connects anew after a loss. */
const askEcho = async (process: Process, heard: string[]): Promise<void> => {
  const { clock, transport, random } = process.clientPorts;
  for (;;) {
    await new Promise<void>((lost) => {
      let text = '';
      let line = 0;
      const ask = () => connection.write(Buffer.from(`${process.name} line ${line++} ${random()}\n`));
      const connection = transport.connect(
        { host: 's1', port: 7 },
        {
          onOpen: ask,
          onBytes: async (bytes) => {
            text += Buffer.from(bytes).toString();
            if (!text.endsWith('\n')) return;
            heard.push(text);
            text = '';
            await new Promise<void>((resolve) => clock.after(random() * 20, resolve));
            ask();
          },
          onClose: () => lost(),
        },
      );
    });
    await new Promise<void>((resolve) => clock.after(50, resolve));
  }
};

/** Five seconds of two clients and a server with faults. */
const runEcho = async (seed: number): Promise<{ hash: string; events: number; heard: string[] }> => {
  const world = new World({ seed, network: { lossRate: 0.02 } });
  const heard: string[] = [];
  let server = world.spawn('s1');
  serveEcho(server);
  for (const name of ['c1', 'c2']) {
    const client = world.spawn(name, { usesPromises: true });
    void client.act(() => askEcho(client, heard));
  }
  const c1 = world.running('c1');
  world.at(1000, () => c1 !== undefined && world.freeze(c1));
  world.at(1700, () => c1 !== undefined && world.thaw(c1));
  world.at(2000, () => world.network.block('c2', 's1'));
  world.at(2500, () => world.network.heal());
  world.at(3000, () => world.powerLoss(server));
  world.at(3300, () => {
    server = world.spawn('s1');
    serveEcho(server);
  });
  world.at(4000, () => world.kill(server));
  await world.runFor(5000);
  return { hash: world.trace.hash, events: world.trace.events, heard };
};

describe('a world', () => {
  it('runs the same seed to the same trace, and another seed to another', async () => {
    const first = await runEcho(42);
    const second = await runEcho(42);
    const other = await runEcho(43);
    expect(first.heard.length).toBeGreaterThan(50);
    expect(second).toEqual(first);
    expect(other.hash).not.toBe(first.hash);
  });

  it('keeps readable lines only when asked, the same events in both cases', async () => {
    const run = async (trace: boolean) => {
      const world = new World({ seed: 1, trace });
      const c1 = world.spawn('c1');
      c1.clock.after(1.5, () => c1.runLog.info('hello'));
      await world.runFor(10);
      return world.trace;
    };
    const [silent, readable] = [await run(false), await run(true)];
    expect(silent.lines).toEqual([]);
    expect(readable.lines).toEqual(['0.000000 c1 spawn', '0.001500 c1 timer', '0.001500 c1 info hello']);
    expect(readable.hash).toBe(silent.hash);
  });

  it('jumps over idle time and stops exactly when it is told', async () => {
    const world = new World({ seed: 1 });
    const times: number[] = [];
    world.at(10, () => times.push(world.nowMs));
    world.at(86_400_000, () => times.push(world.nowMs));
    await world.runFor(10);
    expect([world.nowMs, times]).toEqual([10, [10]]);
    await world.runUntil(() => times.length === 2, { withinMs: 100_000_000 });
    expect(world.nowMs).toBe(86_400_000);
  });

  it('runs all microtasks of an event before the next one, however long the chain', async () => {
    const world = new World({ seed: 1 });
    const c1 = world.spawn('c1', { usesPromises: true });
    const order: string[] = [];
    c1.clock.after(1, () => {
      let chain = Promise.resolve();
      for (let i = 0; i < 1000; i++) chain = chain.then(() => {});
      void chain.then(() => order.push('end of the chain'));
    });
    c1.clock.after(1.001, () => order.push('next timer'));
    await world.runFor(10);
    expect(order).toEqual(['end of the chain', 'next timer']);
  });

  it('performs code in a process and gives its result, or its error', async () => {
    const world = new World({ seed: 1 });
    const c1 = world.spawn('c1', { usesPromises: true });
    const sleep = (ms: number) => new Promise<void>((resolve) => c1.clock.after(ms, resolve));
    const result = await world.perform(c1, async () => {
      await sleep(250);
      return 'done';
    });
    expect([result, world.nowMs]).toEqual(['done', 250]);
    const failing = world.perform(c1, async () => {
      await sleep(1);
      throw new Error('refused');
    });
    await expect(failing).rejects.toThrow('refused');
  });

  it('says so when what is waited for does not happen', async () => {
    const world = new World({ seed: 9 });
    const waiting = world.runUntil(() => false, { withinMs: 500 });
    await expect(waiting).rejects.toThrow('seed 9 at 500 ms: what was waited for did not happen within 500 ms');
  });

  it('ends a run in which time stands still', async () => {
    const world = new World({ seed: 1 });
    const { clock } = world.spawn('s1');
    const again = () => clock.soon(again);
    again();
    await expect(world.runFor(1)).rejects.toThrow('time stands still');
  });

  it('runs one process of a name at a time; the next one has its disk and none of its events', async () => {
    const world = new World({ seed: 1 });
    const first = world.spawn('s1');
    expect(() => world.spawn('s1')).toThrow('running already');
    const ran: string[] = [];
    first.disk().open('left behind');
    first.clock.after(10, () => ran.push('first'));
    world.kill(first);
    const second = world.spawn('s1');
    second.clock.after(20, () => ran.push('second'));
    await world.runFor(100);
    expect(ran).toEqual(['second']);
    expect(second.disk().list()).toEqual(['left behind']);
    expect(second.incarnation).toBe(2);
  });
});

describe('a run fails', () => {
  it('when simulated code throws, with seed, time and cause', async () => {
    const world = new World({ seed: 5 });
    const cause = new RangeError('broken');
    world.spawn('s1').clock.after(7, () => {
      throw cause;
    });
    const failure = await world.runFor(100).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SimulationError);
    expect(failure).toMatchObject({ message: 'seed 5 at 7 ms: s1 threw in timer: RangeError: broken', cause });
  });

  it('when a rejection is not handled', async () => {
    const world = new World({ seed: 5 });
    const c1 = world.spawn('c1', { usesPromises: true });
    c1.clock.after(7, () => {
      void Promise.reject(new Error('nobody cares'));
    });
    await expect(world.runFor(100)).rejects.toThrow('seed 5 at 7 ms: unhandled after c1 timer: Error: nobody cares');
  });

  it('when an error is thrown in a microtask', async () => {
    const world = new World({ seed: 5 });
    const c1 = world.spawn('c1', { usesPromises: true });
    c1.clock.after(7, () =>
      queueMicrotask(() => {
        throw new Error('in a microtask');
      }),
    );
    await expect(world.runFor(100)).rejects.toThrow('unhandled after c1 timer: Error: in a microtask');
  });

  it.each<[string, () => unknown]>([
    ['Date.now', () => Date.now()],
    ['new Date()', () => new Date()],
    ['performance.now', () => performance.now()],
    ['process.hrtime', () => process.hrtime()],
    ['process.hrtime.bigint', () => process.hrtime.bigint()],
    ['Math.random', () => Math.random()],
    ['setTimeout', () => setTimeout(() => {}, 1)],
    ['setInterval', () => setInterval(() => {}, 1)],
    ['setImmediate', () => setImmediate(() => {})],
    ['AbortSignal.timeout', () => AbortSignal.timeout(1)],
    ['crypto.randomUUID', () => crypto.randomUUID()],
    ['crypto.getRandomValues', () => crypto.getRandomValues(new Uint8Array(1))],
    ['crypto.randomBytes', () => randomBytes(1)],
    ['WeakRef', () => new WeakRef({})],
  ])('when simulated code uses %s, in an event or in its microtasks', async (what, use) => {
    for (const deferred of [false, true]) {
      const world = new World({ seed: 1 });
      const c1 = world.spawn('c1', { usesPromises: true });
      c1.clock.after(1, () => {
        if (!deferred) use();
        else void Promise.resolve().then(() => Promise.resolve().then(use));
      });
      await expect(world.runFor(10)).rejects.toThrow(`nondeterminism: ${what}`);
    }
  });
});

describe('the trap', () => {
  it('is not silenced by code that catches everything', async () => {
    for (const deferred of [false, true]) {
      const world = new World({ seed: 1 });
      const c1 = world.spawn('c1', { usesPromises: true });
      const useAndCatch = () => {
        try {
          Math.random();
        } catch {
          // Any failure of its work is harmless to this code.
        }
      };
      c1.clock.after(1, () => {
        if (!deferred) useAndCatch();
        else void Promise.resolve().then(useAndCatch);
      });
      await expect(world.runFor(10)).rejects.toThrow('nondeterminism: Math.random');
    }
  });

  it('leaves dates that are calculated, and lets the test use everything during and after a run', async () => {
    const world = new World({ seed: 1 });
    const c1 = world.spawn('c1', { usesPromises: true });
    const before = { now: Date.now, random: Math.random, setTimeout, Date };
    let calculated = '';
    c1.clock.after(1, () => {
      const date = new Date(0);
      calculated = `${date.toISOString()} ${date instanceof Date}`;
    });
    const running = world.runFor(10);
    expect(Date.now()).toBeGreaterThan(0); // the run has begun, and no event of it is running
    await running;
    expect(calculated).toBe('1970-01-01T00:00:00.000Z true');
    expect({ now: Date.now, random: Math.random, setTimeout, Date }).toEqual(before);
    expect(randomBytes(4)).toHaveLength(4);
  });

  it('fills unwritten memory with a pattern', async () => {
    const world = new World({ seed: 1 });
    const s1 = world.spawn('s1');
    let seen = '';
    s1.clock.after(1, () => {
      seen = Buffer.allocUnsafe(4).toString('hex');
    });
    await world.runFor(10);
    expect(seen).toBe('a5a5a5a5');
  });
});
