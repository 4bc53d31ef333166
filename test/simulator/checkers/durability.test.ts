import { describe, expect, it } from 'vitest';
import { JuteWriter, type Txn, toZxid, type Zxid } from 'zookeeper-protocol-ts';
import { writeLogEntry, writeLogHeader } from '../../../server/src/storage/txn-log-format.ts';
import type { SimulatedDisk } from '../disk.ts';
import type { ObservedServer } from '../ensemble.ts';
import { DurabilityChecker } from './durability.ts';

/** The bytes of a log with these transactions. */
function logOf(...zxids: bigint[]): Buffer {
  const writer = new JuteWriter();
  writeLogHeader(writer);
  for (const zxid of zxids) {
    const record = Buffer.alloc(40);
    record.writeBigInt64BE(zxid, 12);
    writeLogEntry(writer, record);
  }
  return Buffer.from(writer.take());
}

const SNAPSHOT = Buffer.from('ZKSN…\0\0\0\x01/');

/** A medium of which somebody says what is durable on it. */
class Medium {
  readonly files = new Map<string, { bytes: Buffer; cuts: number }>();

  put(name: string, bytes: Buffer): void {
    const file = this.files.get(name);
    if (file === undefined) this.files.set(name, { bytes, cuts: 0 });
    else Object.assign(file, { bytes, cuts: file.cuts + (bytes.length < file.bytes.length ? 1 : 0) });
  }

  readonly disk = {
    durableNames: () => this.files.keys(),
    durableFile: (name: string) => this.#file(name),
  } as unknown as SimulatedDisk;

  readonly #views = new Map<string, object>();

  #file(name: string): object | undefined {
    const { files } = this;
    if (!files.has(name)) return undefined;
    const view = this.#views.get(name) ?? {
      get size() {
        return files.get(name)?.bytes.length;
      },
      get cuts() {
        return files.get(name)?.cuts;
      },
      read: (offset: number, length: number) => files.get(name)?.bytes.subarray(offset, offset + length),
    };
    this.#views.set(name, view);
    return view;
  }
}

function world({ voters = 3, liar = '' } = {}) {
  const media = Array.from({ length: voters }, () => new Medium());
  const history = { last: toZxid(0n) as Zxid, txns: [] as Txn[] };
  const checker = new DurabilityChecker({
    world: { disk: (name) => (media[Number(name.slice(1)) - 1] as Medium).disk },
    ...{ voters, history },
    isExcused: (name) => name === liar,
  });
  const deliver = (last: bigint) => {
    history.last = toZxid(last);
    history.txns = Array.from({ length: Number(last) }, (_, i) => ({ header: { zxid: toZxid(BigInt(i + 1)) } }) as Txn);
    checker.onDelivered({ name: 's1' } as ObservedServer);
  };
  return { media, checker, deliver };
}

describe('A8', () => {
  it('holds when a majority has the end of the history in durable logs', () => {
    const { media, deliver } = world();
    for (const medium of media.slice(0, 2)) medium.put('log.1', logOf(1n, 2n));
    deliver(2n);
    for (const medium of media.slice(1)) medium.put('log.1', logOf(1n, 2n, 3n));
    deliver(3n);
  });

  it('is broken by what only a minority has', () => {
    const { media, deliver } = world();
    media[0]?.put('log.1', logOf(1n, 2n));
    media[1]?.put('log.1', logOf(1n));
    expect(() => deliver(2n)).toThrow('A8: 0x2 is durable only on [s1] when s1 delivers it');
  });

  it('is broken by a record that was not written to its end', () => {
    const { media, deliver } = world();
    const whole = logOf(1n, 2n);
    media[0]?.put('log.1', whole);
    media[1]?.put('log.1', whole.subarray(0, whole.length - 1));
    expect(() => deliver(2n)).toThrow('A8');
    media[1]?.put('log.1', whole);
    deliver(2n);
  });

  it('counts a snapshot that covers it, if that is whole', () => {
    const { media, deliver } = world();
    media[0]?.put('log.1', logOf(1n, 2n));
    media[1]?.put('snapshot.2', SNAPSHOT.subarray(0, 7));
    expect(() => deliver(2n)).toThrow('A8');
    media[1]?.put('snapshot.2', SNAPSHOT);
    deliver(2n);
    media[1]?.put('snapshot.1', SNAPSHOT);
    media[1]?.files.delete('snapshot.2');
    expect(() => deliver(2n)).not.toThrow(); // looked at once
  });

  it('is broken later by a log that is cut, or whose name is gone', () => {
    const { media, checker, deliver } = world();
    for (const medium of media.slice(0, 2)) medium.put('log.1', logOf(1n, 2n, 3n));
    deliver(3n);
    media[1]?.put('log.1', logOf(1n));
    expect(() => checker.onRole({ name: 's2' } as ObservedServer)).toThrow('A8: 0x3 is durable only on [s1]');
    media[1]?.put('log.1', logOf(1n, 2n, 3n));
    checker.check('again');
    media[0]?.files.clear();
    expect(() => checker.check('at the end')).toThrow('A8: 0x3 is durable only on [s2] at the end');
  });

  it('is broken by a log whose beginning is gone, unless a snapshot has that', () => {
    const { media, checker, deliver } = world();
    media[0]?.put('log.1', logOf(1n, 2n, 3n));
    media[1]?.put('log.3', logOf(3n));
    deliver(3n);
    expect(() => checker.check('at the end')).toThrow('A8: 0x3 is durable only on [s1]');
    media[1]?.put('snapshot.1', SNAPSHOT);
    expect(() => checker.check('at the end')).toThrow('A8');
    media[1]?.put('snapshot.2', SNAPSHOT);
    checker.check('at the end');
  });

  it('takes no half of the voters for a majority, and the word of a disk that lies for what it is', () => {
    const even = world({ voters: 4 });
    for (const medium of even.media.slice(0, 2)) medium.put('log.1', logOf(1n));
    expect(() => even.deliver(1n)).toThrow('A8');
    const lied = world({ liar: 's3' });
    lied.media[0]?.put('log.1', logOf(1n));
    lied.deliver(1n);
  });
});
