import type { JuteReader } from './jute/reader.ts';
import type { JuteWriter } from './jute/writer.ts';

/** Both directions of one record. `read` throws a MarshallingError for anything that is not such a record. */
export interface Codec<T> {
  read(reader: JuteReader): T;
  write(writer: JuteWriter, value: T): void;
}

/** A body without fields. */
export const nothing: Codec<undefined> = {
  read: () => undefined,
  write: () => undefined,
};
