import { describe, expect, it } from 'vitest';
import type { JuteWriter } from 'zookeeper-protocol-ts';
import { ConnectionMemory, type WriterBorrower } from './connection-memory.ts';

const limits = { inboundBytesMax: 100, outboundBytesMax: 100, largeRequestThreshold: 10, largeRequestBytesMax: 50 };

/** Gives its writer back when it is asked to, as a connection does. */
class Borrower implements WriterBorrower {
  readonly #memory: ConnectionMemory;
  writer: JuteWriter | undefined;
  sent = 0;

  constructor(memory: ConnectionMemory) {
    this.#memory = memory;
  }

  write(bytes: number): void {
    this.writer ??= this.#memory.borrowWriter(this);
    this.writer.writeRaw(new Uint8Array(bytes));
  }

  send(): void {
    if (this.writer === undefined) return;
    const { length } = this.writer.take();
    this.sent += length;
    this.#memory.giveBackWriter(this, this.writer, { takenBytes: length });
    this.writer = undefined;
  }
}

describe('the writers', () => {
  it('are 64 at the most: the connection that has had one longest sends what it has', () => {
    const memory = new ConnectionMemory(limits);
    const borrowers = Array.from({ length: 66 }, () => new Borrower(memory));
    const writers = new Set<JuteWriter | undefined>();
    for (const borrower of borrowers) {
      borrower.write(3);
      writers.add(borrower.writer);
    }
    expect(writers.size).toBe(64);
    expect(borrowers.map(({ sent }) => sent)).toEqual([3, 3, ...Array(64).fill(0)]);
  });

  it('go from one connection to the next, empty', () => {
    const memory = new ConnectionMemory(limits);
    const [first, second] = [new Borrower(memory), new Borrower(memory)];
    first.write(3);
    const { writer } = first;
    first.send();
    second.write(5);
    expect(second.writer).toBe(writer);
    expect(second.writer?.length).toBe(5);
  });

  it('are not kept when they have grown', () => {
    const memory = new ConnectionMemory(limits);
    const [first, second] = [new Borrower(memory), new Borrower(memory)];
    first.write(1_000_000);
    const { writer } = first;
    first.send();
    second.write(5);
    expect(second.writer).not.toBe(writer);
  });

  it('are given back once', () => {
    const memory = new ConnectionMemory(limits);
    const borrower = new Borrower(memory);
    const writer = memory.borrowWriter(borrower);
    memory.giveBackWriter(borrower, writer, { takenBytes: 0 });
    expect(() => memory.giveBackWriter(borrower, writer, { takenBytes: 0 })).toThrow('MEM-2');
  });
});

describe('large requests', () => {
  it('are those above the threshold, and together take no more than their limit', () => {
    const memory = new ConnectionMemory(limits);
    expect([memory.isLarge(10), memory.isLarge(11)]).toEqual([false, true]);
    expect([memory.takeLargeRequest(30), memory.takeLargeRequest(21), memory.takeLargeRequest(20)]).toEqual([
      true,
      false,
      true,
    ]);
    memory.giveBackLargeRequest(30);
    expect(memory.held.largeRequests).toBe(20);
  });

  it('are none with a threshold of -1', () => {
    expect(new ConnectionMemory({ ...limits, largeRequestThreshold: -1 }).isLarge(0x7fff_ffff)).toBe(false);
  });
});
