import type { Codec } from '../codec.ts';

/** `path ustring, data buffer, version int`; -1 is any version. The reply is a Stat. */
export interface SetDataRequest {
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly version: number;
}

export const setDataRequest: Codec<SetDataRequest> = {
  read: (reader) => ({
    path: reader.readRequiredString('path'),
    data: reader.readBuffer(),
    version: reader.readInt(),
  }),
  write: (writer, value) => {
    writer.writeString(value.path);
    writer.writeBuffer(value.data);
    writer.writeInt(value.version);
  },
};
