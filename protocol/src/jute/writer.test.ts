import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JuteReader } from './reader.ts';
import { JuteWriter } from './writer.ts';

interface JavaVerdicts {
  readonly strings: readonly { units: string; hex: string }[];
}
const verdicts: JavaVerdicts = JSON.parse(
  readFileSync(new URL('../../fixtures/java-verdicts.json', import.meta.url), 'utf8'),
);
const strings = verdicts.strings.map(({ units, hex }) => ({
  text: units === '' ? '' : String.fromCharCode(...units.split(' ').map((unit) => Number.parseInt(unit, 16))),
  hex,
}));
const hasSurrogates = (text: string): boolean => /[\ud800-\udfff]/.test(text);

const hexOf = (write: (writer: JuteWriter) => void, chunkBytes?: number): string => {
  const writer = new JuteWriter(chunkBytes);
  write(writer);
  return writer.take().toString('hex');
};

/** One thing to write, and the same as a naive writer has it. */
interface Step {
  readonly write: (writer: JuteWriter) => void;
  readonly bytes: Buffer;
}
const lengthOf = (length: number): Buffer => Buffer.from((length >>> 0).toString(16).padStart(8, '0'), 'hex');
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.integer({ min: -128, max: 127 }).map((value) => ({
    write: (writer: JuteWriter) => writer.writeByte(value),
    bytes: Buffer.from([value & 0xff]),
  })),
  fc.boolean().map((value) => ({
    write: (writer: JuteWriter) => writer.writeBool(value),
    bytes: Buffer.from([Number(value)]),
  })),
  fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }).map((value) => ({
    write: (writer: JuteWriter) => writer.writeInt(value),
    bytes: lengthOf(value),
  })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => ({
    write: (writer: JuteWriter) => writer.writeLong(value),
    bytes: longOf(value),
  })),
  fc.maxSafeInteger().map((value) => ({
    write: (writer: JuteWriter) => writer.writeLongFromNumber(value),
    bytes: longOf(BigInt(value)),
  })),
  fc.string({ unit: 'binary', maxLength: 30 }).map((value) => ({
    write: (writer: JuteWriter) => writer.writeString(value),
    bytes: Buffer.concat([lengthOf(Buffer.byteLength(value)), Buffer.from(value)]),
  })),
  fc.uint8Array({ maxLength: 60 }).map((value) => ({
    write: (writer: JuteWriter) => writer.writeBuffer(value),
    bytes: Buffer.concat([lengthOf(value.length), value]),
  })),
  fc.uint8Array({ maxLength: 60 }).map((value) => ({
    write: (writer: JuteWriter) => writer.writeRaw(value),
    bytes: Buffer.from(value),
  })),
);

function longOf(value: bigint): Buffer {
  return Buffer.from(BigInt.asUintN(64, value).toString(16).padStart(16, '0'), 'hex');
}

describe('JuteWriter', () => {
  it('writes numbers as big endian two’s complement', () => {
    expect(hexOf((writer) => writer.writeInt(-2))).toBe('fffffffe');
    expect(hexOf((writer) => writer.writeLong(-2n))).toBe('fffffffffffffffe');
    expect(hexOf((writer) => writer.writeLongFromNumber(-2))).toBe('fffffffffffffffe');
    expect(hexOf((writer) => writer.writeLongFromNumber(0x1_8000_0000))).toBe('0000000180000000');
    expect(hexOf((writer) => writer.writeBool(true))).toBe('01');
    expect(hexOf((writer) => writer.writeByte(-1))).toBe('ff');
  });

  it('writes null as a length of -1', () => {
    expect(hexOf((writer) => writer.writeString(null))).toBe('ffffffff');
    expect(hexOf((writer) => writer.writeBuffer(null))).toBe('ffffffff');
    expect(hexOf((writer) => writer.writeVector(null, () => undefined))).toBe('ffffffff');
    expect(hexOf((writer) => writer.writeVector([], () => undefined))).toBe('00000000');
  });

  it.each([1, 2, 7, 64])('writes the same bytes wherever its buffer of %i bytes ends', (chunkBytes) => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 20 }), (written) => {
        const hex = hexOf((writer) => {
          for (const step of written) step.write(writer);
        }, chunkBytes);
        expect(hex).toBe(Buffer.concat(written.map((step) => step.bytes)).toString('hex'));
      }),
    );
  });

  it('never changes bytes that were taken, whatever is written, framed or dropped afterwards', () => {
    const action = fc.oneof(
      { weight: 6, arbitrary: steps.map((step) => ({ kind: 'write', step }) as const) },
      { weight: 2, arbitrary: fc.constant({ kind: 'take' } as const) },
      { weight: 1, arbitrary: fc.nat().map((part) => ({ kind: 'rewind', part }) as const) },
      { weight: 2, arbitrary: fc.array(steps, { maxLength: 4 }).map((body) => ({ kind: 'frame', body }) as const) },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), fc.constantFrom(1, 16, 256), (actions, chunkBytes) => {
        const writer = new JuteWriter(chunkBytes);
        const taken: { bytes: Buffer; expected: Buffer }[] = [];
        let open = Buffer.alloc(0);
        for (const one of [...actions, { kind: 'take' } as const]) {
          switch (one.kind) {
            case 'write':
              one.step.write(writer);
              open = Buffer.concat([open, one.step.bytes]);
              break;
            case 'frame': {
              const mark = writer.startFrame();
              for (const step of one.body) step.write(writer);
              writer.endFrame(mark);
              const body = Buffer.concat(one.body.map((step) => step.bytes));
              open = Buffer.concat([open, lengthOf(body.length), body]);
              break;
            }
            case 'rewind': {
              const mark = one.part % (open.length + 1);
              writer.rewind(mark);
              open = open.subarray(0, mark);
              break;
            }
            case 'take':
              expect(writer.length).toBe(open.length);
              taken.push({ bytes: writer.take(), expected: open });
              open = Buffer.alloc(0);
              expect(writer.length).toBe(0);
          }
        }
        for (const { bytes, expected } of taken) expect(bytes.toString('hex')).toBe(expected.toString('hex'));
      }),
      { numRuns: 300 },
    );
  });

  it('fills in the lengths of frames within frames', () => {
    const hex = hexOf((writer) => {
      const outer = writer.startFrame();
      const inner = writer.startFrame();
      writer.writeString('ab');
      writer.endFrame(inner);
      writer.writeByte(9);
      writer.endFrame(outer);
    }, 3);
    expect(hex).toBe('0000000b 00000006 00000002 6162 09'.replaceAll(' ', ''));
  });

  it('drops a frame that was begun in vain', () => {
    const writer = new JuteWriter(4);
    writer.writeInt(1);
    const mark = writer.startFrame();
    writer.writeString('an answer that is not to be given');
    writer.rewind(mark);
    writer.writeInt(2);
    expect(writer.take().toString('hex')).toBe('0000000100000002');
  });

  it('takes nothing when nothing was written', () => {
    expect(new JuteWriter().take()).toHaveLength(0);
  });

  it.each(strings.filter(({ text }) => !hasSurrogates(text)))('writes "$text" as Java does', ({ text, hex }) => {
    expect(hexOf((writer) => writer.writeString(text), 1)).toBe(hex);
  });

  it('writes characters beyond U+FFFF in four bytes, as UTF-8 has them, where Java writes six', () => {
    expect(hexOf((writer) => writer.writeString('a🐘b'))).toBe('00000006 61 f09f9098 62'.replaceAll(' ', ''));
    expect(strings.find(({ text }) => text === 'a🐘b')?.hex).toBe('00000008 61 eda0bd edb098 62'.replaceAll(' ', ''));
  });

  it('writes a lone surrogate as the replacement character, so that what it writes is always UTF-8', () => {
    for (const text of ['\ud83d', '\udc18\ud83d', 'a\ud83db']) {
      const writer = new JuteWriter(1);
      writer.writeString(text);
      writer.writeInt(7);
      const reader = new JuteReader(writer.take());
      expect(reader.readString()).toBe(text.replace(/[\ud800-\udfff]/g, '\uFFFD'));
      expect(reader.readInt()).toBe(7);
    }
  });
});
