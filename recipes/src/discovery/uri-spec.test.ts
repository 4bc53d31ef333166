import { describe, expect, it } from 'vitest';
import { buildUri, makeServiceInstance } from './service-instance.ts';
import { UriSpec } from './uri-spec.ts';

describe('UriSpec', () => {
  it('fills in its variables, and leaves nothing for one without a value', () => {
    const spec = new UriSpec('{scheme}://{address}:{ port }/{path}?');
    expect(spec.build({ address: 'host', port: 80 })).toBe('http://host:80/?');
  });

  it('has names for the braces', () => {
    expect(new UriSpec('{[}{a}{]}').build({ a: 1 })).toBe('{1}');
  });

  it.each(['{a', 'a}', '{a{b}}'])('refuses %s, whose braces are not in pairs', (spec) => {
    expect(() => new UriSpec(spec)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('does not take what every object has for a variable', () => {
    expect(new UriSpec('{constructor}{toString}').build()).toBe('');
  });
});

describe('buildUri', () => {
  // Expected as Curator 5.4.0 builds it.
  it('knows the instance, and takes what the caller says first', () => {
    const text = '{scheme}|{name}|{id}|{address}|{port}|{ssl-port}|{registration-time-utc}|{service-type}|{x}';
    const uriSpec = new UriSpec(text);
    const instance = { name: 'N', id: 'i', address: 'h', sslPort: 443, registrationTimeUTC: 7, uriSpec };
    expect(buildUri(makeServiceInstance(instance))).toBe('https|N|i|h||443|7|dynamic|');
    expect(buildUri(makeServiceInstance(instance), { x: 'X', name: 'over', scheme: 'ftp' })).toBe(
      'ftp|over|i|h||443|7|dynamic|X',
    );
  });

  it('is empty without a form', () => {
    expect(buildUri(makeServiceInstance({ name: 'N' }))).toBe('');
  });
});

describe('makeServiceInstance', () => {
  it('has defaults: an id of its own, now, DYNAMIC, enabled', () => {
    const before = Date.now();
    const [a, b] = [makeServiceInstance({ name: 'a' }), makeServiceInstance({ name: 'a' })];
    expect(a.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
    expect(a.id).not.toBe(b.id);
    expect(a.registrationTimeUTC).toBeGreaterThanOrEqual(before);
    expect(a).toMatchObject({ serviceType: 'DYNAMIC', enabled: true });
    expect(a.address ?? '').not.toMatch(/^(127\.|::1|169\.254\.|fe80)/);
  });

  it.each([{ name: '' }, { name: 'a/b' }, { name: 'a', id: '' }, { name: 'a', id: 'b/c' }])(
    'refuses %j, which can not be the name of a znode',
    (options) => {
      expect(() => makeServiceInstance(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    },
  );
});
