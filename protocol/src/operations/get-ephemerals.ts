import type { Codec } from '../codec.ts';
import { stringList } from './get-children.ts';

/** `prefixPath ustring`: of this session's ephemerals, those that start with it; null, empty or `/` for all. */
export interface GetEphemeralsRequest {
  readonly prefixPath: string | null;
}

export const getEphemeralsRequest: Codec<GetEphemeralsRequest> = {
  read: (reader) => ({ prefixPath: reader.readString() }),
  write: (writer, value) => writer.writeString(value.prefixPath),
};

/** `ephemerals vector<ustring>`: whole paths. */
export interface GetEphemeralsResponse {
  readonly ephemerals: readonly string[];
}

export const getEphemeralsResponse: Codec<GetEphemeralsResponse> = {
  read: (reader) => ({ ephemerals: stringList.read(reader) }),
  write: (writer, value) => stringList.write(writer, value.ephemerals),
};
