import { describe, expect, it } from 'vitest';
import { bytes, DeserializationError, deserialize, json, string } from './serializer.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);

describe('a serializer', () => {
  it.each([
    ['text', 'Grüße, 🐘'],
    ['no text', ''],
    ['text that begins with a byte order mark', '\uFEFFx'],
  ])('string brings back %s', (_what, text) => {
    expect(string.deserialize(string.serialize(text))).toBe(text);
  });

  it.each([[{ id: 7, name: 'ä', tags: [null, true] }], [[]], [0], [null]])('json brings back %j', (value) => {
    const serializer = json<typeof value>();
    expect(serializer.deserialize(serializer.serialize(value))).toEqual(value);
  });

  it('bytes gives and takes the data itself', () => {
    const data = Uint8Array.of(0, 255, 1);
    expect(bytes.deserialize(bytes.serialize(data))).toBe(data);
  });

  it.each([
    ['undefined', undefined],
    ['a function', () => 1],
    ['a bigint', 1n],
  ])('json refuses to write %s', (_what, value) => {
    expect(() => json<unknown>().serialize(value)).toThrow(TypeError);
  });

  it('json gives what the JSON says to a parser of the user, who may refuse it', () => {
    const port = json((value) => {
      if (typeof value !== 'number') throw new RangeError('no port');
      return value;
    });
    expect(port.deserialize(utf8('8080'))).toBe(8080);
    expect(() => port.deserialize(utf8('"http"'))).toThrow(RangeError);
  });

  it.each([
    ['empty data are no JSON', json(), ''],
    ['half a document', json(), '{"a":'],
    ['bytes that are not UTF-8', string, '\xff'],
    ['JSON that is not UTF-8', json(), '"\xff"'],
  ])('what can not be read names the znode and keeps the cause: %s', (_what, serializer, latin1) => {
    const read = () => deserialize<unknown>(serializer, '/jobs/1', Buffer.from(latin1, 'latin1'));
    expect(read).toThrow(DeserializationError);
    expect(read).toThrow(
      expect.objectContaining({ path: '/jobs/1', code: 'DESERIALIZATION', cause: expect.anything() }),
    );
  });
});
