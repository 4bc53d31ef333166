import { readdirSync, readFileSync, statSync } from 'node:fs';
import { arch, homedir, hostname, release, type, userInfo } from 'node:os';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import type { Machine, Millis } from '../ports.ts';

/** The {@link Machine} of a real one. Asked by administrators only: it may take a ms. */
export class SystemMachine implements Machine {
  /** Made when it is first asked for: it takes 7 MB of resident memory, and few ask. */
  #timeFormat: Intl.DateTimeFormat | undefined;

  /** The original's names; in place of those about Java, Node's version and program. */
  environment(): readonly (readonly [name: string, value: string])[] {
    const heap = getHeapStatistics();
    return [
      ['host.name', hostname()],
      ['node.version', process.versions.node],
      ['node.program', process.execPath],
      ['os.name', type()],
      ['os.arch', arch()],
      ['os.version', release()],
      ['user.name', userName()],
      ['user.home', homedir()],
      ['user.dir', process.cwd()],
      ['os.memory.free', mebibytes(heap.total_heap_size - heap.used_heap_size)],
      ['os.memory.max', mebibytes(heap.heap_size_limit)],
      ['os.memory.total', mebibytes(heap.total_heap_size)],
    ];
  }

  openFiles(): { readonly now: number; readonly max: number } {
    try {
      const limits = readFileSync('/proc/self/limits', 'utf8');
      const max = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? -1);
      return { now: readdirSync('/proc/self/fd').length, max };
    } catch {
      // A system without /proc doesn't tell.
      return { now: -1, max: -1 };
    }
  }

  usage(): { readonly residentBytes: number; readonly cpuSeconds: number; readonly startedAtSeconds: number } {
    const { user, system } = process.cpuUsage();
    return {
      residentBytes: process.memoryUsage.rss(),
      cpuSeconds: (user + system) / 1e6,
      startedAtSeconds: Date.now() / 1000 - process.uptime(),
    };
  }

  folderBytes(folder: string): number {
    let bytes = 0;
    for (const name of namesIn(folder)) {
      // One may be removed meanwhile.
      const entry = statSync(join(folder, name), { throwIfNoEntry: false });
      if (entry?.isFile() === true) bytes += entry.size;
    }
    return bytes;
  }

  formatTime(wallTime: Millis): string {
    this.#timeFormat ??= timeFormat();
    const parts = new Map(this.#timeFormat.formatToParts(wallTime).map(({ type: part, value }) => [part, value]));
    const part = (name: Intl.DateTimeFormatPartTypes): string => parts.get(name) ?? '';
    const time = `${part('hour')}:${part('minute')}:${part('second')}`;
    return `${part('weekday')} ${part('month')} ${part('day')} ${time} ${part('timeZoneName')} ${part('year')}`;
  }
}

const timeFormat = (): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat('en-US', {
    weekday: 'short',
    month: 'short',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'short',
    year: 'numeric',
  });

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // It isn't there: nothing is in it.
    return [];
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user that the system has no name for, as in some containers.
    return '';
  }
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)}MB`;
