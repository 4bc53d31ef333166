import type { Codec } from '../codec.ts';

/** Credentials of a connection. `type int (0), scheme ustring, auth buffer`; the reply has no body. */
export interface AuthPacket {
  readonly type: number;
  readonly scheme: string;
  readonly auth: Uint8Array | null;
}

export const authPacket: Codec<AuthPacket> = {
  read: (reader) => ({
    type: reader.readInt(),
    scheme: reader.readRequiredString('scheme'),
    auth: reader.readBuffer(),
  }),
  write: (writer, value) => {
    writer.writeInt(value.type);
    writer.writeString(value.scheme);
    writer.writeBuffer(value.auth);
  },
};

/** A step of a SASL exchange, both ways. `token buffer`. */
export interface SaslToken {
  readonly token: Uint8Array | null;
}

export const saslToken: Codec<SaslToken> = {
  read: (reader) => ({ token: reader.readBuffer() }),
  write: (writer, value) => writer.writeBuffer(value.token),
};
