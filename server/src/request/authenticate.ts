import type { AuthPacket, Id } from 'zookeeper-protocol-ts';

/**
 * What a client proves by an auth packet: identities for its connection, beside the address that it comes from (the original's
 * `DigestAuthenticationProvider` and `IPAuthenticationProvider`). Which znodes these open is up to `tree/permissions.ts`.
 */

export interface AuthenticationOptions {
  /** Where the connection comes from. */
  readonly address: string;
  /** `super:` and the base64 of a hash: who proves to be that user passes everywhere (`superDigest`). */
  readonly superDigest: string | undefined;
  sha1(bytes: Uint8Array): Uint8Array;
}

/**
 * The identities that credentials prove, or undefined if they prove none: the scheme is unknown, or they are missing. A
 * password is never wrong: another one is another identity.
 */
export function authenticate({ scheme, auth }: AuthPacket, options: AuthenticationOptions): readonly Id[] | undefined {
  switch (scheme) {
    case 'ip':
      return [{ scheme, id: options.address }];
    case 'digest': {
      if (auth === null) return undefined;
      const id = digestId(Buffer.from(auth).toString(), options.sha1);
      const digest = { scheme, id };
      return id === options.superDigest ? [SUPERUSER, digest] : [digest];
    }
    default:
      return undefined;
  }
}

const SUPERUSER: Id = { scheme: 'super', id: '' };

/** The identity of `user:password`: the user, and the base64 of the hash of both. */
const digestId = (credentials: string, sha1: (bytes: Uint8Array) => Uint8Array): string => {
  const [user = ''] = credentials.split(':', 1);
  return `${user}:${Buffer.from(sha1(Buffer.from(credentials))).toString('base64')}`;
};
