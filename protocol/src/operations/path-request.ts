import type { Codec } from '../codec.ts';

/** A request that only names a znode. */
export interface PathRequest {
  readonly path: string;
}

export const pathRequest: Codec<PathRequest> = {
  read: (reader) => ({ path: reader.readRequiredString('path') }),
  write: (writer, value) => writer.writeString(value.path),
};

/** A read that may leave a one-shot watch on its path. `path ustring, watch boolean`. */
export interface WatchablePathRequest extends PathRequest {
  readonly watch: boolean;
}

export const watchablePathRequest: Codec<WatchablePathRequest> = {
  read: (reader) => ({ path: reader.readRequiredString('path'), watch: reader.readBool() }),
  write: (writer, value) => {
    writer.writeString(value.path);
    writer.writeBool(value.watch);
  },
};

/** A write that demands a version. `path ustring, version int`; -1 is any version. */
export interface VersionedPathRequest extends PathRequest {
  readonly version: number;
}

export const versionedPathRequest: Codec<VersionedPathRequest> = {
  read: (reader) => ({ path: reader.readRequiredString('path'), version: reader.readInt() }),
  write: (writer, value) => {
    writer.writeString(value.path);
    writer.writeInt(value.version);
  },
};
