import { describe, expect, it } from 'vitest';
import { JuteWriter, MarshallingError } from 'zookeeper-protocol-ts';
import { Database } from '../database.ts';
import { variedDatabase } from '../storage/snapshot.fixture.ts';
import { snapshotContents } from '../storage/snapshot-contents.ts';
import { SNAPSHOT_SIGNATURE, SnapshotStream } from './snapshot-stream.ts';

const contentsOf = (database: Database): Buffer => Buffer.concat([...snapshotContents(database, 1024)]);

function written(write: (writer: JuteWriter) => void): Buffer {
  const writer = new JuteWriter();
  write(writer);
  return Buffer.from(writer.take());
}

const signature = (text: string = SNAPSHOT_SIGNATURE): Buffer => written((writer) => writer.writeString(text));

/** Takes in what arrives. @returns what is behind the snapshot */
function receive(chunks: readonly Buffer[]): { contents: Buffer; behind: Buffer | undefined } {
  const parts: Buffer[] = [];
  const stream = new SnapshotStream((bytes) => parts.push(Buffer.from(bytes)));
  let behind: Buffer | undefined;
  for (const chunk of chunks) {
    expect(behind).toBeUndefined();
    behind = stream.push(chunk);
  }
  return { contents: Buffer.concat(parts), behind };
}

const inChunksOf = (size: number, bytes: Buffer): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));

describe('a snapshot on a stream', () => {
  it.each([1, 3, 16, 1000, 1_000_000])('is found whole, in chunks of %i bytes', (size) => {
    const contents = contentsOf(variedDatabase());
    const received = receive(inChunksOf(size, Buffer.concat([contents, signature()])));
    expect(received.contents.equals(contents)).toBe(true);
    expect(received.behind).toHaveLength(0);
  });

  it('of an empty database is found as well', () => {
    const contents = contentsOf(new Database());
    expect(receive([Buffer.concat([contents, signature()])]).contents.equals(contents)).toBe(true);
  });

  it('gives back what belongs to the stream behind it, to the byte', () => {
    const whole = Buffer.concat([contentsOf(variedDatabase()), signature(), Buffer.from('the next packet')]);
    expect(receive([whole]).behind?.toString()).toBe('the next packet');
  });

  it('is not over before the last byte of its signature', () => {
    const whole = Buffer.concat([contentsOf(variedDatabase()), signature()]);
    expect(receive([whole.subarray(0, -1)]).behind).toBeUndefined();
    expect(receive([whole.subarray(0, -1), whole.subarray(-1)]).behind).toHaveLength(0);
  });

  it('is handed on as it comes: no more is kept than what is unfinished', () => {
    const contents = contentsOf(variedDatabase());
    let received = 0;
    const stream = new SnapshotStream((bytes) => {
      received += bytes.length;
    });
    let pushed = 0;
    for (const chunk of inChunksOf(100, contents)) {
      stream.push(chunk);
      pushed += chunk.length;
      // The largest znode has 3000 bytes of data.
      expect(pushed - received).toBeLessThan(3200);
    }
    expect(received).toBe(contents.length);
  });

  it('may come in memory that is used again for the next chunk', () => {
    const contents = contentsOf(variedDatabase());
    const parts: Buffer[] = [];
    const stream = new SnapshotStream((bytes) => parts.push(Buffer.from(bytes)));
    for (const chunk of inChunksOf(4096, Buffer.concat([contents, signature()]))) stream.push(chunk);
    expect(Buffer.concat(parts).equals(contents)).toBe(true);
  });

  it.each([
    ['another signature', Buffer.concat([contentsOf(new Database()), signature('BenWasNotHere')]), 'BenWasNotHere'],
    ['no signature', Buffer.concat([contentsOf(new Database()), Buffer.from('ffffffff', 'hex')]), 'ends in ""'],
    ['a path of a negative length', Buffer.from(`0000000000000000${'fffffffe'}`, 'hex'), 'a string of -2 bytes'],
    ['data beyond 1 GiB', Buffer.from(`0000000000000000${'0000000161'}40000001`, 'hex'), '1073741825'],
    [
      'a scheme of a negative length in its ACLs',
      written((writer) => {
        writer.writeInt(0);
        writer.writeInt(1);
        writer.writeLong(1n);
        writer.writeInt(1);
        writer.writeInt(31);
        writer.writeInt(-7);
      }),
      'a string of -7 bytes',
    ],
  ])('is refused with %s', (_, bytes, problem) => {
    expect(() => receive([bytes])).toThrow(MarshallingError);
    expect(() => receive(inChunksOf(1, bytes))).toThrow(problem);
  });

  it('takes vectors of no length for empty ones', () => {
    const bytes = written((writer) => {
      writer.writeInt(-1);
      writer.writeInt(1);
      writer.writeLong(1n);
      writer.writeInt(-1);
      writer.writeString('/');
      writer.writeString(SNAPSHOT_SIGNATURE);
    });
    expect(receive(inChunksOf(1, bytes)).behind).toHaveLength(0);
  });
});
