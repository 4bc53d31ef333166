import { describe, expect, test } from 'vitest';
import type { Disk, Done } from 'zookeeper-server-ts';
import type { Machine } from './machine.ts';

export interface DiskUnderTest {
  /** An empty folder. */
  readonly disk: Disk;
  readonly machine: Machine;
  /** Called when the test is over. */
  release?(): void;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** What a {@link Disk} does, on every machine. */
export function diskConformance(name: string, make: () => DiskUnderTest): void {
  /** A test over an empty folder; `ask` runs one operation to its end and checks when it called back. */
  const diskTest = (behaviour: string, body: (fixture: Fixture) => Promise<void>): void => {
    test(behaviour, async () => {
      const { disk, machine, release } = make();
      const ask = async (operation: (done: Done) => void): Promise<Error | null> => {
        const outcomes: (Error | null)[] = [];
        operation((error) => outcomes.push(error));
        expect(outcomes, 'it called back before the call returned').toEqual([]);
        await machine.until(() => outcomes.length > 0);
        return outcomes[0] ?? null;
      };
      try {
        await body({ disk, machine, ask });
      } finally {
        release?.();
      }
    });
  };

  describe(`disk: ${name}`, () => {
    diskTest('a file is created empty by opening it, and listed', async ({ disk }) => {
      const file = disk.open('b');
      expect(file.size).toBe(0);
      file.close();
      disk.open('a').close();
      expect(disk.list()).toEqual(['a', 'b']);
    });

    diskTest('what was written is read back, and is there when the file is opened again', async ({ disk, ask }) => {
      const file = disk.open('a');
      expect(await ask((done) => file.write(0, bytes('hello'), done))).toBeNull();
      expect(await ask((done) => file.write(2, bytes('LLO, world'), done))).toBeNull();
      expect(text(file.readAt(0, 100))).toBe('heLLO, world');
      expect(file.size).toBe(12);
      file.close();
      const again = disk.open('a');
      expect(again.size).toBe(12);
      expect(text(again.readAt(7, 5))).toBe('world');
      again.close();
    });

    diskTest('a read at the end of the file gives fewer bytes, and none behind it', async ({ disk, ask }) => {
      const file = disk.open('a');
      await ask((done) => file.write(0, bytes('abc'), done));
      expect(text(file.readAt(1, 10))).toBe('bc');
      expect(file.readAt(3, 10)).toHaveLength(0);
      expect(file.readAt(50, 10)).toHaveLength(0);
      file.close();
    });

    diskTest('bytes that were read do not change when the file does', async ({ disk, ask }) => {
      const file = disk.open('a');
      await ask((done) => file.write(0, bytes('before'), done));
      const read = file.readAt(0, 6);
      await ask((done) => file.write(0, bytes('behind'), done));
      expect(text(read)).toBe('before');
      file.close();
    });

    diskTest('a write behind the end leaves zeros between', async ({ disk, ask }) => {
      const file = disk.open('a');
      await ask((done) => file.write(3, bytes('x'), done));
      expect([...file.readAt(0, 10)]).toEqual([0, 0, 0, 120]);
      file.close();
    });

    diskTest('truncate cuts a file, and extends it with zeros, also where there were bytes before', async (fixture) => {
      const { disk, ask } = fixture;
      const file = disk.open('a');
      await ask((done) => file.write(0, bytes('abcdef'), done));
      expect(await ask((done) => file.truncate(2, done))).toBeNull();
      expect(file.size).toBe(2);
      expect(await ask((done) => file.truncate(5, done))).toBeNull();
      expect([...file.readAt(0, 10)]).toEqual([97, 98, 0, 0, 0]);
      expect(file.size).toBe(5);
      file.close();
    });

    diskTest('a sync is reported after the writes that it covers', async ({ disk, machine }) => {
      const file = disk.open('a');
      const order: string[] = [];
      file.write(0, bytes('abc'), () => {
        order.push('write');
        file.sync(() => order.push('sync'));
      });
      await machine.until(() => order.length === 2);
      expect(order).toEqual(['write', 'sync']);
      file.close();
    });

    diskTest('an operation that was asked for before close is carried out', async ({ disk, ask }) => {
      const file = disk.open('a');
      const outcome = await ask((done) => {
        file.write(0, bytes('abc'), done);
        file.close();
      });
      expect(outcome).toBeNull();
      const again = disk.open('a');
      expect(text(again.readAt(0, 10))).toBe('abc');
      again.close();
    });

    diskTest(
      'an operation that was asked for after close fails; close itself may be repeated',
      async ({ disk, ask }) => {
        const file = disk.open('a');
        file.close();
        file.close();
        expect(await ask((done) => file.write(0, bytes('abc'), done))).toBeInstanceOf(Error);
        expect(await ask((done) => file.sync(done))).toBeInstanceOf(Error);
        expect(await ask((done) => file.truncate(3, done))).toBeInstanceOf(Error);
        expect(() => file.readAt(0, 1)).toThrow();
      },
    );

    diskTest('rename replaces the file that has the name', async ({ disk, ask }) => {
      for (const each of ['from', 'to']) {
        const file = disk.open(each);
        await ask((done) => file.write(0, bytes(each), done));
        file.close();
      }
      expect(await ask((done) => disk.rename('from', 'to', done))).toBeNull();
      expect(disk.list()).toEqual(['to']);
      const file = disk.open('to');
      expect(text(file.readAt(0, 10))).toBe('from');
      file.close();
    });

    diskTest('a removed file is gone, and opened anew it is empty', async ({ disk, ask }) => {
      const file = disk.open('a');
      await ask((done) => file.write(0, bytes('abc'), done));
      file.close();
      expect(await ask((done) => disk.remove('a', done))).toBeNull();
      expect(disk.list()).toEqual([]);
      const again = disk.open('a');
      expect(again.size).toBe(0);
      again.close();
    });

    diskTest('renaming or removing a file that is not there fails', async ({ disk, ask }) => {
      expect(await ask((done) => disk.remove('missing', done))).toBeInstanceOf(Error);
      expect(await ask((done) => disk.rename('missing', 'other', done))).toBeInstanceOf(Error);
      expect(disk.list()).toEqual([]);
    });

    diskTest('the folder can be synced', async ({ disk, ask }) => {
      disk.open('a').close();
      expect(await ask((done) => disk.syncDirectory(done))).toBeNull();
    });

    diskTest('an empty write is done like any other', async ({ disk, ask }) => {
      const file = disk.open('a');
      expect(await ask((done) => file.write(0, new Uint8Array(), done))).toBeNull();
      expect(file.size).toBe(0);
      file.close();
    });
  });
}

interface Fixture {
  readonly disk: Disk;
  readonly machine: Machine;
  ask(operation: (done: Done) => void): Promise<Error | null>;
}

const text = (read: Uint8Array): string => Buffer.from(read).toString();
