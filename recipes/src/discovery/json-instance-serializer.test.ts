import { describe, expect, it } from 'vitest';
import { JsonInstanceSerializer } from './json-instance-serializer.ts';
import { makeServiceInstance, type ServiceInstance } from './service-instance.ts';
import { UriSpec } from './uri-spec.ts';

const serializer = new JsonInstanceSerializer();
const complete = new JsonInstanceSerializer({ compatible: false });
const toText = (instance: ServiceInstance, by = serializer) => Buffer.from(by.serialize(instance)).toString();
const fromText = (text: string, by = serializer) => by.deserialize(Buffer.from(text));

const instance: ServiceInstance = makeServiceInstance({
  name: 'svc',
  id: 'i1',
  address: '10.0.0.1',
  port: 8080,
  registrationTimeUTC: 1_700_000_000_000,
});
const withPayload = (payload: string): string =>
  `{"name":"svc","id":"i1","address":"10.0.0.1","port":8080,"sslPort":null,"payload":${payload},"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","uriSpec":null}`;

// The texts are those that Curator 5.4.0 wrote.
describe('what Curator writes', () => {
  it('is written to the byte: all members in its order, and the parts of the URI', () => {
    const uriSpec = new UriSpec('{scheme}://{address}');
    const text =
      '{"name":"svc","id":"i1","address":"10.0.0.1","port":8080,"sslPort":8443,"payload":null,"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","uriSpec":{"parts":[{"value":"scheme","variable":true},{"value":"://","variable":false},{"value":"address","variable":true}]},"enabled":true}';
    expect(toText({ ...instance, sslPort: 8443, uriSpec }, complete)).toBe(text);
    expect(toText(fromText(text), complete)).toBe(text);
  });

  it('is written to the byte where there is nothing', () => {
    const text =
      '{"name":"svc","id":"i1","address":null,"port":null,"sslPort":null,"payload":null,"registrationTimeUTC":1,"serviceType":"DYNAMIC_SEQUENTIAL","uriSpec":null,"enabled":false}';
    const bare: ServiceInstance = {
      name: 'svc',
      id: 'i1',
      registrationTimeUTC: 1,
      serviceType: 'DYNAMIC_SEQUENTIAL',
      enabled: false,
    };
    expect(toText(bare, complete)).toBe(text);
    expect(fromText(text)).toEqual(bare);
  });

  it.each([
    ['null', undefined, undefined],
    ['"pay\\né"', 'pay\né', undefined],
    ['5', 5, undefined],
    ['1.5', 1.5, undefined],
    ['true', true, undefined],
    ['["java.lang.Long",5]', 5, 'java.lang.Long'],
    ['["java.util.ArrayList",["a",1]]', ['a', 1], 'java.util.ArrayList'],
    ['{"@class":"com.example.Meta","zone":"eu","weight":3}', { zone: 'eu', weight: 3 }, 'com.example.Meta'],
    ['{"k":{"z":1}}', { k: { z: 1 } }, undefined],
  ])('says the payload as %s, and it is read and written so', (stored, payload, payloadClass) => {
    const found = fromText(withPayload(stored));
    expect(found).toEqual({ ...instance, payload, payloadClass });
    expect(toText(found)).toBe(withPayload(stored));
  });

  it('calls an array without a class an ArrayList', () => {
    expect(toText({ ...instance, payload: ['a', 1] })).toBe(withPayload('["java.util.ArrayList",["a",1]]'));
  });
});

describe('what is read', () => {
  it('has defaults where members are missing, as in Curator', () => {
    const found = fromText('{"name":"s","id":"i"}');
    expect(found).toEqual({ name: 's', id: 'i', registrationTimeUTC: 0, serviceType: 'DYNAMIC', enabled: true });
  });

  it('keeps members that are not known, and writes them again', () => {
    const text = `${withPayload('null').slice(0, -1)},"zone":{"a":[1]},"__proto__":{"b":2}}`;
    const found = fromText(text);
    expect(found.otherMembers).toHaveProperty('zone', { a: [1] });
    expect(toText({ ...found })).toBe(text);
  });

  it('is believed, or goes through the parser of the payload', () => {
    const parsePayload = (value: unknown): string => {
      if (typeof value !== 'string') throw new TypeError('no string');
      return value.toUpperCase();
    };
    const typed = new JsonInstanceSerializer({ parsePayload });
    expect(typed.deserialize(Buffer.from(withPayload('"a"'))).payload).toBe('A');
    expect(typed.deserialize(Buffer.from(withPayload('null'))).payload).toBeUndefined();
    expect(() => typed.deserialize(Buffer.from(withPayload('1')))).toThrow('no string');
  });

  it.each([
    '',
    '[]',
    'null',
    '{',
    '{"id":"i"}',
    '{"name":1,"id":"i"}',
    '{"name":"s","id":"i","port":"80"}',
    '{"name":"s","id":"i","port":1.5}',
    '{"name":"s","id":"i","serviceType":"toString"}',
    '{"name":"s","id":"i","enabled":"no"}',
    '{"name":"s","id":"i","uriSpec":{}}',
    '{"name":"s","id":"i","uriSpec":{"parts":[null]}}',
    '{"name":"s","id":"i","uriSpec":{"parts":[{"value":"a"}]}}',
  ])('is refused if it is %s', (text) => {
    expect(() => fromText(text)).toThrow();
  });
});

it('an instance that is not enabled is refused in the compatible form, where it would seem to be', () => {
  expect(() => serializer.serialize({ ...instance, enabled: false })).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  );
});
