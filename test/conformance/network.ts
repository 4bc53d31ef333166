import { describe, expect, test } from 'vitest';
import type { Address, Closeable, Network, Stream, StreamHandler } from 'zookeeper-server-ts';
import type { Machine } from './machine.ts';

/** The other end of a stream. */
export interface Peer {
  write(bytes: Uint8Array): void;
  /** Sends what was written, then ends the stream. */
  end(): void;
  /** Everything received so far; nothing more is taken while it is paused. */
  received(): Buffer;
  pause(): void;
  resume(): void;
  /** The stream has ended, or never came about. */
  closed(): boolean;
}

export interface NetworkUnderTest {
  readonly network: Network;
  readonly machine: Machine;
  /** Where tests can listen; port 0. */
  readonly address: Address;
  dial(address: Address): Peer;
  /** Called when the test is over: ends what is still open. */
  release?(): void;
}

/** What a {@link Network} does, on every machine. */
export function networkConformance(name: string, make: () => NetworkUnderTest): void {
  const networkTest = (behaviour: string, body: (fixture: Fixture) => Promise<void>): void => {
    test(behaviour, async () => {
      const fixture = new Fixture(make());
      try {
        await body(fixture);
      } finally {
        fixture.release();
      }
    });
  };

  describe(`network: ${name}`, () => {
    networkTest('listening on port 0 takes a free port and tells which', async (fixture) => {
      const first = await fixture.listen();
      const second = await fixture.listen();
      expect(first.bound.port).toBeGreaterThan(0);
      expect(second.bound.port).not.toBe(first.bound.port);
    });

    networkTest('listening on a port that is taken fails, once', async (fixture) => {
      const { bound } = await fixture.listen();
      const events: string[] = [];
      fixture.network.listen(bound, {
        onListening: () => events.push('listening'),
        onFailure: (error) => events.push(error instanceof Error ? 'failure' : 'no error'),
        onStream: () => undefined,
      });
      expect(events).toEqual([]);
      await fixture.until(() => events.length > 0);
      await fixture.exchange();
      expect(events).toEqual(['failure']);
    });

    networkTest('bytes arrive in order, whole, in both directions', async (fixture) => {
      const { peer, end } = await fixture.connect();
      const up = pattern(200_000, 1);
      const down = pattern(300_000, 2);
      for (let at = 0; at < up.length; at += 7919) peer.write(up.subarray(at, at + 7919));
      for (let at = 0; at < down.length; at += 10_007) end.stream.write(down.subarray(at, at + 10_007));
      await fixture.until(() => end.received().length >= up.length && peer.received().length >= down.length);
      expect(end.received().equals(up)).toBe(true);
      expect(peer.received().equals(down)).toBe(true);
    });

    networkTest('a stream for which there is no handler is closed', async (fixture) => {
      const { bound } = await fixture.listen(() => undefined);
      const peer = fixture.dial(bound);
      await fixture.until(() => peer.closed());
      expect(peer.received()).toHaveLength(0);
    });

    networkTest('close sends what was written, then ends the stream, and is told once', async (fixture) => {
      const { peer, end } = await fixture.connect();
      const reply = pattern(500_000, 3);
      end.stream.write(reply);
      end.stream.close();
      end.stream.close();
      expect(end.closes).toEqual([]);
      await fixture.until(() => peer.closed() && end.closes.length > 0);
      expect(peer.received().equals(reply)).toBe(true);
      await fixture.exchange();
      expect(end.closes).toEqual([undefined]);
    });

    networkTest('what is written after close is ignored', async (fixture) => {
      const { peer, end } = await fixture.connect();
      end.stream.write(Buffer.from('before'));
      end.stream.close();
      end.stream.write(Buffer.from('after'));
      await fixture.until(() => peer.closed() && end.closes.length > 0);
      end.stream.write(Buffer.from('later'));
      expect(peer.received().toString()).toBe('before');
    });

    networkTest('bytes that arrive after close are not handed over', async (fixture) => {
      const { peer, end } = await fixture.connect();
      peer.write(Buffer.from('late'));
      end.stream.close();
      await fixture.until(() => end.closes.length > 0);
      expect(end.received()).toHaveLength(0);
    });

    networkTest('destroy ends the stream, and is told once, after the call', async (fixture) => {
      const { peer, end } = await fixture.connect();
      end.stream.destroy();
      end.stream.destroy();
      expect(end.closes).toEqual([]);
      await fixture.until(() => end.closes.length > 0 && peer.closed());
      await fixture.exchange();
      expect(end.closes).toHaveLength(1);
    });

    networkTest('an end by the other side is told once, after all that it sent', async (fixture) => {
      const { peer, end } = await fixture.connect();
      peer.write(Buffer.from('farewell'));
      peer.end();
      await fixture.until(() => end.closes.length > 0);
      expect(end.received().toString()).toBe('farewell');
      await fixture.exchange();
      expect(end.closes).toEqual([undefined]);
    });

    networkTest('nothing is handed over while a stream is paused, and nothing is lost', async (fixture) => {
      const { peer, end } = await fixture.connect();
      peer.write(Buffer.from('first'));
      await fixture.until(() => end.received().length === 5);
      end.stream.pause();
      peer.write(Buffer.from(' second'));
      await fixture.exchange();
      expect(end.received().toString()).toBe('first');
      end.stream.resume();
      await fixture.until(() => end.received().length >= 12);
      expect(end.received().toString()).toBe('first second');
    });

    networkTest('what a slow peer has not taken is counted, and its end is told', async (fixture) => {
      const { peer, end } = await fixture.connect();
      peer.pause();
      const reply = pattern(16_000_000, 4);
      end.stream.write(reply);
      await fixture.exchange();
      expect(end.stream.queuedBytes).toBeGreaterThan(0);
      expect(end.drains).toBe(0);
      peer.resume();
      await fixture.until(() => end.drains > 0 && peer.received().length === reply.length);
      expect(end.stream.queuedBytes).toBe(0);
      expect(peer.received().equals(reply)).toBe(true);
    });

    networkTest('a small write drains as well', async (fixture) => {
      const { end } = await fixture.connect();
      end.stream.write(Buffer.from('x'));
      await fixture.until(() => end.drains > 0);
      expect(end.stream.queuedBytes).toBe(0);
    });

    networkTest('a listener that is closed accepts nobody; its streams go on', async (fixture) => {
      const { listener, bound } = await fixture.listen();
      const before = fixture.dial(bound);
      await fixture.until(() => fixture.ends.length === 1);
      listener.close();
      listener.close();
      const after = fixture.dial(bound);
      await fixture.until(() => after.closed());
      expect(fixture.ends).toHaveLength(1);
      before.write(Buffer.from('still here'));
      await fixture.until(() => fixture.ends[0]?.received().toString() === 'still here');
    });

    networkTest('a listener that is closed before it listens tells nothing', async (fixture) => {
      const events: string[] = [];
      const listener = fixture.network.listen(fixture.address, {
        onListening: () => events.push('listening'),
        onFailure: () => events.push('failure'),
        onStream: () => undefined,
      });
      listener.close();
      await fixture.exchange();
      expect(events).toEqual([]);
    });
  });
}

/** The accepted end of a stream, and what was told about it. */
class AcceptedEnd implements StreamHandler {
  readonly stream: Stream;
  readonly closes: (Error | undefined)[] = [];
  drains = 0;
  readonly #chunks: Uint8Array[] = [];

  constructor(stream: Stream) {
    this.stream = stream;
  }

  onBytes(bytes: Uint8Array): void {
    expect(this.closes, 'bytes after the end').toEqual([]);
    this.#chunks.push(bytes);
  }

  onDrain(): void {
    expect(this.closes, 'a drain after the end').toEqual([]);
    this.drains++;
  }

  onClose(error: Error | undefined): void {
    this.closes.push(error);
  }

  received(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

interface Listening {
  readonly listener: Closeable;
  readonly bound: Address;
}

class Fixture {
  readonly network: Network;
  readonly address: Address;
  /** In the order in which they were accepted. */
  readonly ends: AcceptedEnd[] = [];
  readonly #underTest: NetworkUnderTest;
  readonly #listeners: Closeable[] = [];

  constructor(underTest: NetworkUnderTest) {
    this.#underTest = underTest;
    this.network = underTest.network;
    this.address = underTest.address;
  }

  until(condition: () => boolean): Promise<void> {
    return this.#underTest.machine.until(condition);
  }

  dial(address: Address): Peer {
    return this.#underTest.dial(address);
  }

  async listen(onStream = (stream: Stream): StreamHandler | undefined => this.#accept(stream)): Promise<Listening> {
    const bound: Address[] = [];
    const failures: Error[] = [];
    const listener = this.network.listen(this.address, {
      onListening: (address) => bound.push(address),
      onFailure: (error) => failures.push(error),
      onStream,
    });
    this.#listeners.push(listener);
    expect(bound, 'it called back before the call returned').toEqual([]);
    await this.until(() => bound.length + failures.length > 0);
    const [address] = bound;
    if (address === undefined) throw failures[0];
    return { listener, bound: address };
  }

  async connect(): Promise<{ peer: Peer; end: AcceptedEnd }> {
    const { bound } = await this.listen();
    const peer = this.dial(bound);
    await this.until(() => this.ends.length > 0);
    const end = this.ends.at(-1);
    if (end === undefined) throw new Error('no stream was accepted');
    return { peer, end };
  }

  /** Lets another stream carry bytes there and back: whatever was under way elsewhere had time to arrive. */
  async exchange(): Promise<void> {
    const { bound } = await this.listen((stream) => ({
      onBytes: (bytes) => stream.write(bytes),
      onDrain: () => undefined,
      onClose: () => undefined,
    }));
    const peer = this.dial(bound);
    for (let round = 1; round <= 3; round++) {
      peer.write(Buffer.from('x'));
      await this.until(() => peer.received().length === round);
    }
    peer.end();
  }

  release(): void {
    for (const listener of this.#listeners) listener.close();
    for (const end of this.ends) end.stream.destroy();
    this.#underTest.release?.();
  }

  #accept(stream: Stream): StreamHandler {
    const end = new AcceptedEnd(stream);
    this.ends.push(end);
    return end;
  }
}

/** Bytes in which every place can be told from its neighbours. */
function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (Math.imul(i + seed, 2_654_435_761) >>> 24) & 0xff;
  return bytes;
}
