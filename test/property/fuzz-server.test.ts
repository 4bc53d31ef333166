/**
 * The shipped server before clients that send what they should not: recorded conversations, mixed, changed where it hurts, and
 * cut into pieces. Whatever comes: the server lives, each request that is one gets one answer, the neighbour is served, and
 * when the client has gone nothing of it is kept.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CreateMode, ErrorCode, OPEN_ACL, OpCode, operations } from 'zookeeper-protocol-ts';
import { type MemoryClient, MemoryMachine } from '../integration/memory-machine.ts';
import { FUZZ_RUNS, type Mutation, mutated, mutation, recordedFrames } from './fuzz-mutation.ts';

const handshakes = recordedFrames.filter(({ from, operation }) => from === 'client' && operation === 'connect');
const requests = recordedFrames.filter(({ from, operation }) => from === 'client' && operation !== 'connect');
const replies = recordedFrames.filter(({ from }) => from === 'server');

const framed = (body: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length);
  return Buffer.concat([length, body]);
};

/** A recorded frame, mostly one of a client, and what is done to it behind its length. */
const changedFrame = fc
  .tuple(
    fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...requests) },
      { weight: 1, arbitrary: fc.constantFrom(...replies) },
    ),
    fc.oneof(
      { weight: 2, arbitrary: fc.constant<Mutation[]>([]) },
      { weight: 3, arbitrary: fc.array(mutation, { maxLength: 3 }) },
    ),
  )
  .map(([{ bytes }, mutations]) => mutated(bytes, mutations));

/** Cuts a stream at places modulo its length. */
function cut(stream: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % Math.max(stream.length, 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, i) => stream.subarray(start, at[i]));
}

const cuts = fc.array(fc.nat(0xffff), { maxLength: 6 });

/** A server, a neighbour with a session and an ephemeral, and a client that is let loose. */
class Scene {
  readonly machine = new MemoryMachine({
    globalOutstandingLimit: 5,
    fourLetterWords: new Set(['*']),
    frameBytesMax: 100_000,
  });
  readonly neighbour: MemoryClient;

  constructor() {
    this.neighbour = this.machine.join({ host: '10.0.0.2' });
    this.neighbour.ask(operations.create, {
      path: '/neighbour-of-the-fuzzed',
      data: null,
      acl: OPEN_ACL,
      flags: CreateMode.EPHEMERAL,
    });
    this.machine.run();
  }

  /** Sends it piece by piece; the server does some of its work in between. */
  send(client: MemoryClient, pieces: readonly Buffer[]): void {
    for (const [i, piece] of pieces.entries()) {
      client.send(piece);
      for (let steps = i % 4; steps > 0; steps--) this.machine.step();
    }
    this.machine.run();
  }

  /** What must hold when all is said. */
  expectUnharmed(client: MemoryClient): void {
    const { machine, neighbour } = this;
    expect(machine.failure).toBeUndefined();
    neighbour.ask(operations.exists, { path: '/neighbour-of-the-fuzzed', watch: false });
    machine.run();
    expect(neighbour.replies.at(-1)?.err).toBe(ErrorCode.OK);
    client.stream.end();
    machine.run();
    expect(machine.server.connectionMemory.held).toEqual({ inbound: 0, outbound: 0, largeRequests: 0 });
    expect(machine.failure).toBeUndefined();
  }
}

/** Numbers the requests, so that the answers can be told apart. */
function withXid(frame: Buffer, index: number): Buffer {
  if (frame.length >= 4) frame.writeInt32BE(index + 1);
  return frame;
}

const typeOf = (frame: Buffer): number => (frame.length < 8 ? 0 : frame.readInt32BE(4));

describe('the server', () => {
  it('answers each request once, whatever is in it', () => {
    fc.assert(
      fc.property(fc.array(changedFrame, { minLength: 1, maxLength: 12 }), cuts, (bodies, places) => {
        const scene = new Scene();
        const client = scene.machine.join();
        const frames = bodies.map(withXid);
        scene.send(client, cut(Buffer.concat(frames.map(framed)), places));
        if (client.isClosed) expect(client.replies.length).toBeLessThanOrEqual(frames.length);
        else expect(client.replies).toHaveLength(frames.length);
        const outOfLine: readonly number[] = [OpCode.auth, OpCode.sasl];
        if (!frames.some((frame) => outOfLine.includes(typeOf(frame)))) {
          expect(client.replies.map(({ xid }) => xid)).toEqual(client.replies.map((_, i) => i + 1));
        }
        scene.expectUnharmed(client);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('survives a stream that is changed anywhere, lengths of frames included', () => {
    fc.assert(
      fc.property(
        fc.array(changedFrame, { minLength: 1, maxLength: 12 }),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        cuts,
        (frames, mutations, places) => {
          const scene = new Scene();
          const client = scene.machine.join();
          scene.send(client, cut(mutated(Buffer.concat(frames.map(framed)), mutations), places));
          scene.expectUnharmed(client);
        },
      ),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('survives a handshake that is changed anywhere', () => {
    const handshake = fc
      .tuple(fc.constantFrom(...handshakes), fc.array(mutation, { maxLength: 3 }), fc.array(mutation, { maxLength: 1 }))
      .map(([{ bytes }, inside, outside]) => mutated(framed(mutated(bytes, inside)), outside));
    fc.assert(
      fc.property(handshake, fc.array(changedFrame, { maxLength: 3 }), cuts, (start, frames, places) => {
        const scene = new Scene();
        const client = scene.machine.connect();
        client.stopParsing();
        scene.send(client, cut(Buffer.concat([start, ...frames.map(framed)]), places));
        scene.expectUnharmed(client);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('survives any bytes at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), cuts, fc.boolean(), (bytes, places, joined) => {
        const scene = new Scene();
        const client = joined ? scene.machine.join() : scene.machine.connect();
        client.stopParsing();
        scene.send(client, cut(Buffer.from(bytes), places));
        scene.expectUnharmed(client);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });
});
