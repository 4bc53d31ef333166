import type { Codec } from '../codec.ts';

/** Body of checkWatches and removeWatches. `path ustring, type int`; the replies have no body. */
export interface WatchesRequest {
  readonly path: string;
  /** A WatcherType, as sent: not known to be a valid one. */
  readonly type: number;
}

export const watchesRequest: Codec<WatchesRequest> = {
  read: (reader) => ({ path: reader.readRequiredString('path'), type: reader.readInt() }),
  write: (writer, value) => {
    writer.writeString(value.path);
    writer.writeInt(value.type);
  },
};
