import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FRAME_BYTES_MAX_DEFAULT, FrameReader } from './framing.ts';
import { MarshallingError } from './marshalling-error.ts';

const framed = (...bodies: Uint8Array[]): Buffer =>
  Buffer.concat(bodies.flatMap((body) => [lengthOf(body.length), body]));

function lengthOf(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(length);
  return bytes;
}

/** All the frames that are whole now. */
const drain = (reader: FrameReader): Buffer[] => {
  const frames: Buffer[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  return frames;
};

/** Cuts a stream at the given places, in any order. */
const chop = (stream: Buffer, cuts: number[]): Buffer[] => {
  const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length];
  return places.slice(1).map((end, index) => stream.subarray(places[index], end));
};

const bodies = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });

describe('FrameReader', () => {
  it('gives back the frames of a stream however it was cut into chunks, each as soon as it is whole', () => {
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(), { maxLength: 12 }), (sent, cuts) => {
        const stream = framed(...sent);
        const reader = new FrameReader();
        const received: Buffer[] = [];
        let pushed = 0;
        for (const chunk of chop(stream, cuts)) {
          reader.push(chunk);
          pushed += chunk.length;
          received.push(...drain(reader));
          const whole = sent.filter((_, index) => framed(...sent.slice(0, index + 1)).length <= pushed);
          expect(received.length).toBe(whole.length);
          expect(reader.buffered).toBe(pushed - framed(...whole).length);
        }
        expect(received.map((frame) => [...frame])).toEqual(sent.map((body) => [...body]));
      }),
      { numRuns: 300 },
    );
  });

  it('gives back the frames of a stream that drips byte by byte', () => {
    const sent = [Buffer.from('first'), Buffer.alloc(0), Buffer.alloc(3000, 7), Buffer.from('last')];
    const reader = new FrameReader();
    const received: Buffer[] = [];
    for (const byte of framed(...sent)) {
      reader.push(Buffer.from([byte]));
      received.push(...drain(reader));
    }
    expect(received).toEqual(sent);
  });

  it('gives back several frames of one chunk, and waits for the rest of the one that is cut', () => {
    const stream = framed(Buffer.from('a'), Buffer.from('bc'), Buffer.from('def'));
    const reader = new FrameReader();
    reader.push(stream.subarray(0, -1));
    expect(drain(reader).map(String)).toEqual(['a', 'bc']);
    reader.push(stream.subarray(-1));
    expect(drain(reader).map(String)).toEqual(['def']);
    expect(reader.buffered).toBe(0);
  });

  it('takes any Uint8Array, also one that is a part of a larger buffer', () => {
    const whole = new Uint8Array(32);
    whole.set(framed(Buffer.from('part')), 9);
    const reader = new FrameReader();
    reader.push(whole.subarray(9, 17));
    expect(String(reader.next())).toBe('part');
  });

  it('has nothing to give before the four bytes of a length are there', () => {
    const reader = new FrameReader();
    expect(reader.next()).toBeUndefined();
    reader.push(Buffer.alloc(0));
    reader.push(Buffer.from([0, 0, 0]));
    expect(reader.next()).toBeUndefined();
    reader.push(Buffer.from([0]));
    expect(reader.next()).toEqual(Buffer.alloc(0));
  });

  it('accepts a frame of exactly the limit', () => {
    const reader = new FrameReader({ frameBytesMax: 10 });
    reader.push(framed(Buffer.alloc(10, 1)));
    expect(reader.next()).toHaveLength(10);
  });

  it.each([11, 0x7fff_ffff, -1, -0x8000_0000])(
    'refuses a length of %i under a limit of 10 before its bytes arrive',
    (length) => {
      const reader = new FrameReader({ frameBytesMax: 10 });
      reader.push(lengthOf(length));
      expect(() => reader.next()).toThrow(MarshallingError);
      expect(() => reader.next()).toThrow(`a frame of ${length} bytes; at most 10 are accepted`);
    },
  );

  it('gives out the frames in front of a length that it refuses', () => {
    const reader = new FrameReader({ frameBytesMax: 10 });
    reader.push(Buffer.concat([framed(Buffer.from('good')), lengthOf(-1)]));
    expect(String(reader.next())).toBe('good');
    expect(() => reader.next()).toThrow(MarshallingError);
  });

  it("has Apache ZooKeeper's limit by default", () => {
    const reader = new FrameReader();
    reader.push(lengthOf(FRAME_BYTES_MAX_DEFAULT));
    expect(reader.next()).toBeUndefined();
    const strict = new FrameReader();
    strict.push(lengthOf(FRAME_BYTES_MAX_DEFAULT + 1));
    expect(() => strict.next()).toThrow(MarshallingError);
    expect(FRAME_BYTES_MAX_DEFAULT).toBe(1_048_575);
  });

  it('reads four letters in place of a length as one that is too large', () => {
    const reader = new FrameReader();
    reader.push(Buffer.from('ruok'));
    expect(reader.peek(4)?.toString()).toBe('ruok');
    expect(() => reader.next()).toThrow(MarshallingError);
  });

  it('shows the first bytes without taking them, once they have arrived', () => {
    const reader = new FrameReader();
    reader.push(Buffer.from([0, 0]));
    expect(reader.peek(4)).toBeUndefined();
    reader.push(Buffer.from([0, 1, 42]));
    expect(reader.peek(4)).toEqual(lengthOf(1));
    expect(reader.buffered).toBe(5);
    expect(reader.next()).toEqual(Buffer.from([42]));
  });

  it('does not copy a frame that came in one chunk', () => {
    const chunk = framed(Buffer.from('a'), Buffer.from('b'));
    const reader = new FrameReader();
    reader.push(chunk);
    expect(drain(reader).map((frame) => frame.buffer === chunk.buffer)).toEqual([true, true]);
  });

  it('lets go of small chunks while it waits for a large frame', () => {
    const body = Buffer.alloc(2000, 1);
    const stream = framed(body);
    const chunks = [...stream].map((byte) => Buffer.from([byte]));
    const reader = new FrameReader();
    for (const chunk of chunks.slice(0, -1)) reader.push(chunk);
    // Chunks that are still held would show what becomes of them.
    for (const chunk of chunks.slice(0, -200)) chunk.fill(9);
    for (const chunk of chunks.slice(-1)) reader.push(chunk);
    expect(reader.next()).toEqual(body);
  });
});
