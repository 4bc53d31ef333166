import { describe, expect, it } from 'vitest';
import { systemHash } from '../node/system-hash.ts';
import { authenticate } from './authenticate.ts';

const options = { address: '10.1.2.3', superDigest: 'super:D/InIHSb7yEEbrWz8b9l71RjZJU=', sha1: systemHash.sha1 };

const prove = (scheme: string, auth: string | null) =>
  authenticate({ type: 0, scheme, auth: auth === null ? null : Buffer.from(auth) }, options);

describe('authenticate', () => {
  it.each([
    ['bob:pw', 'bob:ikIaKsbtGweaHnb/jKn7OHqbunM='],
    ['a:b:c', `a:${Buffer.from(systemHash.sha1(Buffer.from('a:b:c'))).toString('base64')}`],
    ['nocolon', `nocolon:${Buffer.from(systemHash.sha1(Buffer.from('nocolon'))).toString('base64')}`],
    ['', ':2jmj7l5rSw0yVb/vlWAYkK/YBwk='],
  ])('takes "%s" for the digest %s', (credentials, id) => {
    expect(prove('digest', credentials)).toEqual([{ scheme: 'digest', id }]);
  });

  it('takes who proves the super digest for the superuser as well, and nobody else', () => {
    expect(prove('digest', 'super:test')?.map(({ scheme }) => scheme)).toEqual(['super', 'digest']);
    expect(prove('digest', 'super:wrong')?.map(({ scheme }) => scheme)).toEqual(['digest']);
  });

  it('proves an address by the connection, whatever is sent', () => {
    expect(prove('ip', 'x')).toEqual([{ scheme: 'ip', id: '10.1.2.3' }]);
    expect(prove('ip', null)).toEqual([{ scheme: 'ip', id: '10.1.2.3' }]);
  });

  it.each([
    ['world', 'anyone'],
    ['auth', ''],
    ['super', ''],
    ['x509', ''],
    ['sasl', ''],
    ['magic', 'x'],
    ['digest', null],
  ])('refuses the scheme %s with %s', (scheme, auth) => {
    expect(prove(scheme, auth)).toBeUndefined();
  });
});
