/**
 * How values become the data of znodes and come back from it: for caches, nodes, queues, shared values and discovery (Curator's
 * `QueueSerializer`, `InstanceSerializer` and `ModelSerializer`, which are the same thing three times).
 *
 * What must always hold: data comes from others, so every recipe expects that it can't be read. That is a
 * {@link DeserializationError}, which names the znode, and never ends the recipe (CURATOR-574, 609).
 */
import { ZooKeeperError } from 'zookeeper-client-ts';

/** Both ways are synchronous, and neither keeps or changes what it is given. */
export interface Serializer<T> {
  /** Whatever it throws reaches the caller who wanted to write the value. */
  serialize(value: T): Uint8Array;
  /** Throws what it likes for data that it can't have written. May be given empty data: parents that others made have none. */
  deserialize(data: Uint8Array): T;
}

/** The data as it is. */
export const bytes: Serializer<Uint8Array> = {
  serialize: (value) => value,
  deserialize: (data) => data,
};

/** Text in UTF-8. Bytes that are none are refused, not replaced. */
export const string: Serializer<string> = {
  serialize: (value) => encoder.encode(value),
  deserialize: (data) => decoder.decode(data),
};

/**
 * JSON in UTF-8.
 * @param parse makes the value from what the JSON says, and throws if it isn't one (a schema's `parse`, say). Without it everything
 *   is believed.
 */
export function json<T>(parse: (value: unknown) => T = believe): Serializer<T> {
  return {
    serialize(value) {
      const text: string | undefined = JSON.stringify(value);
      if (text === undefined) throw new TypeError(`JSON has no words for ${typeof value}`);
      return string.serialize(text);
    },
    deserialize: (data) => parse(JSON.parse(string.deserialize(data))),
  };
}

/** The caller says what others write. */
const believe = <T>(value: unknown): T => value as T;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The data of a znode is none that the serializer could have written. `cause` says what is wrong with it. */
export class DeserializationError extends ZooKeeperError {
  override readonly name = 'DeserializationError';
  override readonly code = 'DESERIALIZATION';
}

/** The value of a znode. @throws DeserializationError */
export function deserialize<T>(serializer: Serializer<T>, path: string, data: Uint8Array): T {
  try {
    return serializer.deserialize(data);
  } catch (cause) {
    throw new DeserializationError(`the data can't be read: ${path} (${data.length} bytes)`, { path, cause });
  }
}
