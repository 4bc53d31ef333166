import type { Codec } from '../codec.ts';
import { toZxid, type Zxid } from '../ids.ts';
import { stringList } from './get-children.ts';

/** The watches of a client that has reconnected, and the last zxid that it saw. The reply has no body. */
export interface SetWatchesRequest {
  readonly relativeZxid: Zxid;
  readonly dataWatches: readonly string[];
  /** Watches on znodes that did not exist. */
  readonly existWatches: readonly string[];
  readonly childWatches: readonly string[];
}

export const setWatchesRequest: Codec<SetWatchesRequest> = {
  read: (reader) => ({
    relativeZxid: toZxid(reader.readLong()),
    dataWatches: stringList.read(reader),
    existWatches: stringList.read(reader),
    childWatches: stringList.read(reader),
  }),
  write: (writer, value) => {
    writer.writeLong(value.relativeZxid);
    stringList.write(writer, value.dataWatches);
    stringList.write(writer, value.existWatches);
    stringList.write(writer, value.childWatches);
  },
};

/** setWatches2, since 3.6: with the persistent watches. */
export interface SetWatches2Request extends SetWatchesRequest {
  readonly persistentWatches: readonly string[];
  readonly persistentRecursiveWatches: readonly string[];
}

export const setWatches2Request: Codec<SetWatches2Request> = {
  read: (reader) => ({
    ...setWatchesRequest.read(reader),
    persistentWatches: stringList.read(reader),
    persistentRecursiveWatches: stringList.read(reader),
  }),
  write: (writer, value) => {
    setWatchesRequest.write(writer, value);
    stringList.write(writer, value.persistentWatches);
    stringList.write(writer, value.persistentRecursiveWatches);
  },
};
