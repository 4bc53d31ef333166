/** The table of operations, and our codecs before the bytes that real clients and a real server exchanged. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Codec, nothing } from './codec.ts';
import { ErrorCode } from './error-code.ts';
import { SpecialXid } from './ids.ts';
import { JuteReader } from './jute/reader.ts';
import { JuteWriter } from './jute/writer.ts';
import { MarshallingError } from './marshalling-error.ts';
import { OpCode } from './op-code.ts';
import { connectRequest, connectResponse } from './operations/session.ts';
import { type Operation, operations } from './operations.ts';
import { replyHeader, requestHeader, watcherEvent } from './records/headers.ts';

interface Frame {
  readonly from: 'client' | 'server';
  readonly operation: string;
  readonly error?: string;
  readonly hex: string;
}

const load = (name: string): Frame[][] =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8')).connections;

const recordings = ['java-client', 'kazoo', 'c-client', 'unusual', 'read-only'];
const allFrames = recordings.flatMap(load).flat();

const table = new Map<string, Operation<unknown, unknown>>(
  Object.entries(operations) as [string, Operation<unknown, unknown>][],
);

/** What a frame holds, part by part. A refusal has no body, except that of a SASL token. */
function layout({ from, operation, error }: Frame): Codec<unknown>[] {
  const known = table.get(operation);
  const codecs: object[] = [];
  if (operation === 'connect') {
    codecs.push(from === 'client' ? connectRequest : connectResponse);
  } else if (operation === 'notification') {
    codecs.push(replyHeader, watcherEvent);
  } else if (from === 'client') {
    codecs.push(requestHeader, known?.request ?? nothing);
  } else {
    const hasBody = error === undefined || operation === 'sasl';
    codecs.push(replyHeader, (hasBody && known?.response) || nothing);
  }
  // What a codec reads is given to no other codec than itself.
  return codecs as Codec<unknown>[];
}

function decode(frame: Frame): unknown[] {
  const reader = new JuteReader(Buffer.from(frame.hex, 'hex'));
  const parts = layout(frame).map((codec) => codec.read(reader));
  expect(reader.remaining).toBe(0);
  return parts;
}

function encode(frame: Frame, parts: unknown[]): string {
  const writer = new JuteWriter(8);
  for (const [index, codec] of layout(frame).entries()) codec.write(writer, parts[index]);
  return writer.take().toString('hex');
}

const find = (wanted: Partial<Frame>, frames = allFrames): Frame => {
  const found = frames.find((frame) =>
    Object.entries(wanted).every(([field, value]) => frame[field as keyof Frame] === value),
  );
  if (found === undefined) throw new Error(`no such frame was recorded: ${JSON.stringify(wanted)}`);
  return found;
};

describe('the table of operations', () => {
  it('has each operation under the name of its code', () => {
    for (const [name, { opCode }] of table) expect(opCode).toBe(OpCode[name as keyof typeof OpCode]);
  });

  it('has everything that a client may send', () => {
    const notAsked = ['notification', 'createSession', 'error', 'deleteContainer'];
    expect([...table.keys()].sort()).toEqual(
      Object.keys(OpCode)
        .filter((name) => !notAsked.includes(name))
        .sort(),
    );
  });
});

describe.each(recordings)('the recording %s', (name) => {
  it('is decoded to the last byte, and encoded to the same bytes', () => {
    for (const frame of load(name).flat()) expect(encode(frame, decode(frame)), frame.operation).toBe(frame.hex);
  });
});

describe('the recordings', () => {
  it('hold a request of every operation', () => {
    const requested = new Set(allFrames.filter(({ from }) => from === 'client').map(({ operation }) => operation));
    expect([...table.keys()].filter((operation) => !requested.has(operation))).toEqual([]);
  });

  it('hold a successful reply to every operation but a check, which has one only inside a multi', () => {
    const answered = new Set(
      allFrames.filter(({ from, error }) => from === 'server' && error === undefined).map(({ operation }) => operation),
    );
    expect([...table.keys()].filter((operation) => !answered.has(operation))).toEqual(['check']);
  });

  it('hold both forms of the handshake, and a refusal of all zeros', () => {
    const frames = allFrames.filter(({ operation }) => operation === 'connect');
    const forms = (from: string) =>
      new Set(frames.filter((frame) => frame.from === from).map(({ hex }) => hex.length / 2));
    expect(forms('client')).toEqual(new Set([44, 45]));
    expect(forms('server')).toEqual(new Set([36, 37]));
    expect(frames.flatMap(decode)).toContainEqual({
      protocolVersion: 0,
      timeoutMs: 0,
      sessionId: 0n,
      password: Buffer.alloc(16),
      readOnly: false,
    });
  });

  it('hold the handshake of a read-only server', () => {
    expect(decode(find({ from: 'client', operation: 'connect' }, load('read-only').flat()))).toMatchObject([
      { readOnly: true },
    ]);
    expect(decode(find({ from: 'server', operation: 'connect' }, load('read-only').flat()))).toMatchObject([
      { readOnly: true },
    ]);
  });

  it('hold notifications with the xid and the zxid that announce them', () => {
    const notifications = allFrames.filter(({ operation }) => operation === 'notification').map(decode);
    expect(notifications.length).toBeGreaterThan(10);
    for (const [header] of notifications) expect(header).toEqual({ xid: SpecialXid.notification, zxid: -1n, err: 0 });
  });

  it('hold a multi whose failure is told for each operation, under a header without error', () => {
    const results = allFrames
      .filter(({ from, operation }) => from === 'server' && operation === 'multi')
      .map((frame) => decode(frame)[1]);
    const { BAD_VERSION, OK, RUNTIME_INCONSISTENCY } = ErrorCode;
    expect(results).toContainEqual(
      [OK, BAD_VERSION, RUNTIME_INCONSISTENCY, RUNTIME_INCONSISTENCY].map((err) => ({ type: OpCode.error, err })),
    );
  });

  it('hold a create2 in a multi that is answered like a create, as 3.8 does', () => {
    const [, request] = decode(find({ from: 'client', operation: 'multi' }, load('unusual').flat()));
    const [, results] = decode(find({ from: 'server', operation: 'multi' }, load('unusual').flat()));
    expect(request).toMatchObject([{ type: OpCode.create2 }, { type: OpCode.setData }, { type: OpCode.delete }]);
    expect(results).toMatchObject([
      { type: OpCode.create, path: '/raw/multi' },
      { type: OpCode.setData },
      { type: OpCode.delete },
    ]);
  });

  it('hold a failed SASL exchange, which has a body behind its error', () => {
    expect(decode(find({ operation: 'sasl', error: 'AUTH_FAILED' }))[1]).toEqual({ token: null });
  });
});

describe('an ACL with a character that Java writes as two surrogates', () => {
  const frame = find({ from: 'server', operation: 'getACL' }, load('surrogates').flat());

  it('is read with replacement characters, and nothing behind it is lost', () => {
    const [, reply] = decode(frame);
    expect(reply).toMatchObject({
      acl: [
        { perms: 31, id: { scheme: 'digest', id: expect.stringMatching(/^\uFFFD+:x$/) } },
        { perms: 1, id: { scheme: 'world', id: 'anyone' } },
      ],
      stat: { numChildren: 0, version: 0 },
    });
  });
});

describe('a body that the server calls malformed', () => {
  const frames = load('malformed').flat();
  const refused = frames.filter((_, index) => frames[index + 1]?.error === 'MARSHALLING_ERROR');

  it('is recorded for reads, writes and multis', () => {
    expect(refused.length).toBeGreaterThanOrEqual(9);
    expect(new Set(refused.map(({ operation }) => operation))).toEqual(
      new Set(['getData', 'exists', 'getChildren', 'create', 'setData', 'delete', 'multi']),
    );
  });

  it.each(refused)('is refused by us too: $operation $hex', (frame) => {
    expect(() => decode(frame)).toThrow(MarshallingError);
  });
});
