import { describe, expect, it } from 'vitest';
import type { Disk, DiskFile, Done } from 'zookeeper-server-ts';
import type { CrashImage } from './disk.ts';
import { World } from './world.ts';

interface Machine {
  readonly world: World;
  readonly disk: Disk;
  /** Runs the world until the operation is done, and gives its error's code, or `ok`. */
  readonly done: (start: (done: Done) => void) => Promise<string>;
  readonly restart: () => Disk;
}

const machineOf = (seed = 1): Machine => {
  const world = new World({ seed });
  const disk = world.spawn('s1').disk();
  const done = async (start: (done: Done) => void) => {
    let outcome = '';
    start((error) => {
      outcome = error === null ? 'ok' : (error.message.split(':')[0] ?? '');
    });
    expect(outcome).toBe(''); // never before the call has returned
    await world.runUntil(() => outcome !== '');
    return outcome;
  };
  return { world, disk, done, restart: () => world.spawn('s1').disk() };
};

const contentOf = (file: DiskFile): string => Buffer.from(file.readAt(0, file.size)).toString('latin1');

const running = (world: World, name = 's1') => {
  const process = world.running(name);
  if (process === undefined) throw new Error(`${name} is not running`);
  return process;
};

/** A file `log` whose name and first text are durable. */
const synced = async ({ disk, done }: Machine, text: string): Promise<DiskFile> => {
  const file = disk.open('log');
  await done((cb) => file.write(0, Buffer.from(text), cb));
  await done((cb) => file.sync(cb));
  await done((cb) => disk.syncDirectory(cb));
  return file;
};

describe('a file', () => {
  it('shows what was written when the write is done, with zeros in a hole', async () => {
    const { disk, done } = machineOf();
    const file = disk.open('log');
    expect(await done((cb) => file.write(3, Buffer.from('abc'), cb))).toBe('ok');
    expect(file.size).toBe(6);
    expect(contentOf(file)).toBe('\0\0\0abc');
    expect(file.readAt(4, 100)).toHaveLength(2);
    expect(file.readAt(10, 5)).toHaveLength(0);
  });

  it('is cut and extended with zeros by truncate', async () => {
    const { disk, done } = machineOf();
    const file = disk.open('log');
    await done((cb) => file.write(0, Buffer.from('abcdef'), cb));
    await done((cb) => file.truncate(2, cb));
    await done((cb) => file.truncate(4, cb));
    expect(contentOf(file)).toBe('ab\0\0');
  });

  it('takes one write at a time', () => {
    const { disk } = machineOf();
    const file = disk.open('log');
    file.write(0, Buffer.from('a'), () => {});
    expect(() => file.write(1, Buffer.from('b'), () => {})).toThrow('in flight');
    expect(() => file.truncate(0, () => {})).toThrow('in flight');
  });

  it('finishes writes to different files in an order that the seed decides', async () => {
    const orders = new Set<string>();
    for (let seed = 1; seed <= 10; seed++) {
      const { world, disk } = machineOf(seed);
      const order: string[] = [];
      for (const name of ['a', 'b', 'c']) disk.open(name).write(0, Buffer.from(name), () => order.push(name));
      expect(order).toEqual([]);
      await world.runFor(100);
      expect([...order].sort()).toEqual(['a', 'b', 'c']);
      orders.add(order.join(''));
    }
    expect(orders.size).toBeGreaterThan(2);
  });
});

describe('the folder', () => {
  it('lists its names sorted, and renames over an existing file', async () => {
    const { disk, done } = machineOf();
    const old = disk.open('b');
    await done((cb) => old.write(0, Buffer.from('old'), cb));
    const fresh = disk.open('c.tmp');
    await done((cb) => fresh.write(0, Buffer.from('new'), cb));
    disk.open('a');
    expect(disk.list()).toEqual(['a', 'b', 'c.tmp']);
    expect(await done((cb) => disk.rename('c.tmp', 'b', cb))).toBe('ok');
    expect(await done((cb) => disk.remove('a', cb))).toBe('ok');
    expect(disk.list()).toEqual(['b']);
    expect(contentOf(disk.open('b'))).toBe('new');
  });

  it('refuses to rename or remove what is not there', async () => {
    const { disk, done } = machineOf();
    expect(await done((cb) => disk.rename('x', 'y', cb))).toBe('ENOENT');
    expect(await done((cb) => disk.remove('x', cb))).toBe('ENOENT');
  });
});

describe('a kill', () => {
  it('keeps what was written and not synced, and calls back nobody', async () => {
    const machine = machineOf();
    const file = machine.disk.open('log');
    await machine.done((cb) => file.write(0, Buffer.from('written'), cb));
    const called: string[] = [];
    file.sync(() => called.push('sync'));
    machine.world.kill(running(machine.world));
    const disk = machine.restart();
    await machine.world.runFor(1000);
    expect(disk.list()).toEqual(['log']);
    expect(contentOf(disk.open('log'))).toBe('written');
    expect(called).toEqual([]);
  });

  it('cuts a write in flight at any byte, and the next process writes again', async () => {
    const lengths = new Set<number>();
    for (let seed = 1; seed <= 20; seed++) {
      const machine = machineOf(seed);
      machine.disk.open('log').write(0, Buffer.alloc(1000, 'x'), () => {});
      machine.world.kill(running(machine.world));
      const file = machine.restart().open('log');
      lengths.add(file.size);
      expect(contentOf(file)).toBe('x'.repeat(file.size));
      expect(await machine.done((cb) => file.write(file.size, Buffer.from('!'), cb))).toBe('ok');
    }
    expect(lengths.size).toBeGreaterThan(10);
  });
});

describe('a power loss', () => {
  it('never loses what was synced, in a folder that was synced', async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const machine = machineOf(seed);
      const file = await synced(machine, 'durable');
      await machine.done((cb) => file.write(7, Buffer.alloc(2000, 'x'), cb));
      machine.world.powerLoss(running(machine.world));
      const found = contentOf(machine.restart().open('log'));
      expect(found.slice(0, 7)).toBe('durable');
      expect(found.slice(7)).toMatch(/^[x\0]*$/);
    }
  });

  it('picks every crash image, and each one looks as it should', async () => {
    const seen = new Map<CrashImage, Set<string>>();
    for (let seed = 1; seed <= 80; seed++) {
      const machine = machineOf(seed);
      const file = await synced(machine, 'D'.repeat(4096));
      await machine.done((cb) => file.write(4096, Buffer.alloc(4096, 'a'), cb));
      await machine.done((cb) => file.write(8192, Buffer.alloc(4096, 'b'), cb));
      const image = machine.world.powerLoss(running(machine.world)).get('log') ?? 'lost';
      const found = contentOf(machine.restart().open('log'));
      const shape = [...found.matchAll(/(.|\0)\1*/g)].map(([run]) => `${run[0] === '\0' ? '-' : run[0]}${run.length}`);
      seen.set(image, (seen.get(image) ?? new Set()).add(shape.join(' ')));
    }
    expect([...seen.keys()].sort()).toEqual(['kept', 'lost', 'pages', 'prefix', 'torn']);
    expect([...(seen.get('lost') ?? [])]).toEqual(['D4096']);
    expect([...(seen.get('kept') ?? [])]).toEqual(['D4096 a4096 b4096']);
    expect([...(seen.get('prefix') ?? [])].every((s) => /^D4096( a4096( b4096)?)?$/.test(s))).toBe(true);
    expect([...(seen.get('pages') ?? [])]).toContain('D4096 -4096 b4096');
    const torn = [...(seen.get('torn') ?? [])].map((s) => Number(s.split(' ').at(-1)?.slice(1)));
    expect(torn.every((length) => length % 512 === 0)).toBe(true);
    expect(torn.some((length) => length % 4096 !== 0)).toBe(true);
  });

  it('may lose a new name though the bytes were synced, until the folder is synced', async () => {
    const found = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) {
      const machine = machineOf(seed);
      const file = machine.disk.open('new');
      await machine.done((cb) => file.write(0, Buffer.from('x'), cb));
      await machine.done((cb) => file.sync(cb));
      machine.world.powerLoss(running(machine.world));
      found.add(machine.restart().list().join());
    }
    expect([...found].sort()).toEqual(['', 'new']);
  });

  it('may undo a rename, never half of it', async () => {
    const found = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) {
      const machine = machineOf(seed);
      await synced(machine, 'old');
      const temporary = machine.disk.open('log.tmp');
      await machine.done((cb) => temporary.write(0, Buffer.from('new'), cb));
      await machine.done((cb) => temporary.sync(cb));
      await machine.done((cb) => machine.disk.syncDirectory(cb));
      await machine.done((cb) => machine.disk.rename('log.tmp', 'log', cb));
      machine.world.powerLoss(running(machine.world));
      const disk = machine.restart();
      found.add(`${disk.list().join()} ${contentOf(disk.open('log'))}`);
    }
    expect([...found].sort()).toEqual(['log new', 'log,log.tmp old']);
  });

  it('loses a write that was done after the sync was asked for', async () => {
    let lost = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const machine = machineOf(seed);
      const file = await synced(machine, 'a');
      let synchronized = false;
      file.write(1, Buffer.from('b'), () => {});
      file.sync(() => {
        synchronized = true;
      });
      await machine.world.runUntil(() => synchronized && file.size === 2);
      machine.world.powerLoss(running(machine.world));
      if (contentOf(machine.restart().open('log')) === 'a') lost++;
    }
    expect(lost).toBeGreaterThan(3);
  });
});

describe('a fault', () => {
  it('fails so many operations of its kind, on the files it is for', async () => {
    const { world, disk, done } = machineOf();
    world.disk('s1').inject({ operation: 'write', code: 'EIO', namePrefix: 'log', times: 2 });
    const log = disk.open('log');
    const other = disk.open('other');
    expect(await done((cb) => other.write(0, Buffer.from('x'), cb))).toBe('ok');
    expect(await done((cb) => log.write(0, Buffer.from('x'), cb))).toBe('EIO');
    expect(await done((cb) => log.write(0, Buffer.from('x'), cb))).toBe('EIO');
    expect(await done((cb) => log.write(0, Buffer.from('x'), cb))).toBe('ok');
  });

  it('throws where the port throws', () => {
    const { world, disk } = machineOf();
    const file = disk.open('log');
    world.disk('s1').inject({ operation: 'read', code: 'EIO' });
    world.disk('s1').inject({ operation: 'open', code: 'EIO', times: Number.POSITIVE_INFINITY });
    expect(() => file.readAt(0, 1)).toThrow('EIO');
    expect(file.readAt(0, 1)).toHaveLength(0);
    expect(() => disk.open('other')).toThrow('EIO');
    expect(() => disk.open('other')).toThrow('EIO');
    world.disk('s1').repair();
    expect(disk.open('other').size).toBe(0);
  });

  it('of a sync loses the bytes for good, though the next sync succeeds', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const machine = machineOf(seed);
      const file = await synced(machine, 'a');
      await machine.done((cb) => file.write(1, Buffer.from('b'), cb));
      machine.world.disk('s1').inject({ operation: 'sync', code: 'EIO' });
      expect(await machine.done((cb) => file.sync(cb))).toBe('EIO');
      expect(await machine.done((cb) => file.sync(cb))).toBe('ok');
      expect(contentOf(file)).toBe('ab');
      machine.world.powerLoss(running(machine.world));
      expect(contentOf(machine.restart().open('log'))[1] ?? 'gone').not.toBe('b');
    }
  });

  it('of space cuts a write short, until there is space again', async () => {
    const { world, disk, done } = machineOf();
    world.disk('s1').capacityBytes = 10;
    const file = disk.open('log');
    expect(await done((cb) => file.write(0, Buffer.alloc(16, 'x'), cb))).toBe('ENOSPC');
    expect(file.size).toBe(10);
    expect(await done((cb) => file.write(0, Buffer.alloc(10, 'y'), cb))).toBe('ok');
    world.disk('s1').capacityBytes = 100;
    expect(await done((cb) => file.write(0, Buffer.alloc(16, 'x'), cb))).toBe('ok');
  });
});

describe('a slow disk', () => {
  it('takes the time of a stall, and a frozen process hears of the end at its thaw', async () => {
    const world = new World({ seed: 1, disk: { writeMs: [1, 1], stallRate: 1, stallMs: [5000, 5000] } });
    const s1 = world.spawn('s1');
    const file = s1.disk().open('log');
    const done: number[] = [];
    file.write(0, Buffer.from('x'), () => done.push(world.nowMs));
    world.at(100, () => world.freeze(s1));
    await world.runFor(6000);
    expect(file.size).toBe(1); // the kernel was done at 5001 ms
    expect(done).toEqual([]);
    world.thaw(s1);
    await world.runFor(1);
    expect(done).toEqual([6000]);
  });

  it('begins and ends with how long operations take', async () => {
    const { world, disk, done } = machineOf();
    const file = disk.open('log');
    world.disk('s1').shape({ stallRate: 1, stallMs: [500, 500] });
    const before = world.nowMs;
    await done((cb) => file.sync(cb));
    expect(world.nowMs - before).toBeGreaterThan(500);
    world.disk('s1').shape();
    const after = world.nowMs;
    await done((cb) => file.sync(cb));
    expect(world.nowMs - after).toBeLessThan(10);
  });

  it('does not hit an onlooker, and waits for who it is for', () => {
    const { world, disk } = machineOf();
    world.disk('s1').inject({ operation: 'list', code: 'EIO' });
    expect(world.disk('s1').withoutFaults(() => disk.list())).toEqual([]);
    expect(() => disk.list()).toThrow('EIO');
  });

  it('renames once, though a frozen process hears of it later', async () => {
    const world = new World({ seed: 1 });
    const s1 = world.spawn('s1');
    const disk = s1.disk();
    disk.open('from');
    const outcomes: (string | undefined)[] = [];
    disk.rename('from', 'to', (error) => outcomes.push(error?.message));
    world.freeze(s1);
    await world.runFor(100);
    expect(disk.list()).toEqual(['to']);
    world.thaw(s1);
    await world.runFor(1);
    expect(outcomes).toEqual([undefined]);
  });
});

describe('a disk that was filled before the machine was', () => {
  it('has its files, whatever a power loss does', () => {
    const world = new World({ seed: 1 });
    world.disk('s1').place('snapshot', Buffer.from('abc'));
    world.powerLoss(world.spawn('s1'));
    const disk = world.spawn('s1').disk();
    expect(disk.list()).toEqual(['snapshot']);
    expect(contentOf(disk.open('snapshot'))).toBe('abc');
  });
});
