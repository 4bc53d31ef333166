import { readFileSync } from 'node:fs';
import fc from 'fast-check';

/** How often each fuzz test runs: FUZZ_RUNS, or a number that fits into `npm test`. */
export const FUZZ_RUNS = Number(process.env.FUZZ_RUNS ?? 1000);

export interface RecordedFrame {
  readonly from: 'client' | 'server';
  readonly operation: string;
  readonly error?: string;
  readonly bytes: Buffer;
}

interface RecordedJson {
  readonly connections: readonly (readonly (Omit<RecordedFrame, 'bytes'> & { readonly hex: string })[])[];
}

const fixture = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../protocol/fixtures/${name}.json`, import.meta.url), 'utf8'));

const RECORDINGS = ['java-client', 'kazoo', 'c-client', 'unusual', 'malformed', 'surrogates', 'read-only'];

/** Every frame that real clients and a real server exchanged, without its length. */
export const recordedFrames: readonly RecordedFrame[] = RECORDINGS.flatMap((name) =>
  (fixture(name) as RecordedJson).connections
    .flat()
    .map(({ hex, ...frame }) => ({ ...frame, bytes: Buffer.from(hex, 'hex') })),
);

/** The records of a real transaction log. */
export const recordedTxns: readonly Buffer[] = (
  fixture('txn-log') as { readonly txns: readonly { readonly hex: string }[] }
).txns.map(({ hex }) => Buffer.from(hex, 'hex'));

/** One thing that is done to bytes. Places are taken modulo what there is. */
export type Mutation =
  | { readonly kind: 'int'; readonly at: number; readonly value: number }
  | { readonly kind: 'length'; readonly at: number; readonly value: number }
  | { readonly kind: 'byte'; readonly at: number; readonly value: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'remove'; readonly at: number; readonly count: number };

/** Lengths, counts and codes that are worth trying anywhere. */
const interestingInt = fc.oneof(
  fc.constantFrom(-1, -2, 0, 1, 2, 0x7f, 0xff, 0xffff, 0xfffff, 0x10_0000, 0x7fff_ffff, -0x8000_0000),
  fc.integer({ min: -12, max: 110 }),
  fc.integer(),
);

const place = fc.nat(0xffff);

export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('length' as const), at: place, value: interestingInt }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('int' as const), at: place, value: interestingInt }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('byte' as const), at: place, value: fc.nat(255) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), at: place }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('insert' as const), at: place, bytes: fc.uint8Array({ maxLength: 40 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), at: place, count: fc.nat(20) }) },
);

/** The bytes with all of that done to them, in order. */
export function mutated(original: Uint8Array, mutations: readonly Mutation[]): Buffer {
  let bytes: Buffer = Buffer.from(original);
  for (const each of mutations) bytes = applied(bytes, each);
  return bytes;
}

function applied(bytes: Buffer, mutation: Mutation): Buffer {
  const at = bytes.length === 0 ? 0 : mutation.at % bytes.length;
  switch (mutation.kind) {
    case 'int':
      return withInt(bytes, at, mutation.value);
    case 'length': {
      const places = placesOfLengths(bytes);
      return withInt(bytes, places[mutation.at % Math.max(places.length, 1)] ?? at, mutation.value);
    }
    case 'byte':
      if (bytes.length > 0) bytes[at] = mutation.value;
      return bytes;
    case 'cut':
      return bytes.subarray(0, at);
    case 'insert':
      return Buffer.concat([bytes.subarray(0, at), mutation.bytes, bytes.subarray(at)]);
    case 'remove':
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + mutation.count)]);
  }
}

function withInt(bytes: Buffer, at: number, value: number): Buffer {
  if (at + 4 <= bytes.length) bytes.writeInt32BE(value, at);
  return bytes;
}

/** Where an int may be the length of what follows, or a count. */
function placesOfLengths(bytes: Buffer): number[] {
  const places: number[] = [];
  for (let at = 0; at + 4 <= bytes.length; at++) {
    const value = bytes.readInt32BE(at);
    if (value >= -1 && value <= bytes.length - at - 4) places.push(at);
  }
  return places;
}
