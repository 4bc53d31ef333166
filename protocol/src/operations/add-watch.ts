import type { Codec } from '../codec.ts';

/** `path ustring, mode int`: a persistent watch, since 3.6. */
export interface AddWatchRequest {
  readonly path: string;
  /** An AddWatchMode, as sent: not known to be a valid one. */
  readonly mode: number;
}

export const addWatchRequest: Codec<AddWatchRequest> = {
  read: (reader) => ({ path: reader.readRequiredString('path'), mode: reader.readInt() }),
  write: (writer, value) => {
    writer.writeString(value.path);
    writer.writeInt(value.mode);
  },
};

/** `err int`, always 0 behind a header without error. */
export interface ErrorResponse {
  readonly err: number;
}

export const errorResponse: Codec<ErrorResponse> = {
  read: (reader) => ({ err: reader.readInt() }),
  write: (writer, value) => writer.writeInt(value.err),
};
