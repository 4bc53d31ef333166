import type { Codec } from '../codec.ts';
import type { JuteReader } from '../jute/reader.ts';
import type { JuteWriter } from '../jute/writer.ts';
import { MarshallingError } from '../marshalling-error.ts';
import { type Stat, stat } from '../records/stat.ts';
import { type WatchablePathRequest, watchablePathRequest } from './path-request.ts';

/** Body of getChildren and getChildren2. `path ustring, watch boolean`. */
export type GetChildrenRequest = WatchablePathRequest;
export const getChildrenRequest: Codec<GetChildrenRequest> = watchablePathRequest;

/** `children vector<ustring>`: names, not paths, in no particular order. */
export interface GetChildrenResponse {
  readonly children: readonly string[];
}

export const getChildrenResponse: Codec<GetChildrenResponse> = {
  read: (reader) => ({ children: stringList.read(reader) }),
  write: (writer, value) => stringList.write(writer, value.children),
};

/** `children vector<ustring>, stat`. */
export interface GetChildren2Response extends GetChildrenResponse {
  readonly stat: Stat;
}

export const getChildren2Response: Codec<GetChildren2Response> = {
  read: (reader) => ({ children: stringList.read(reader), stat: stat.read(reader) }),
  write: (writer, value) => {
    stringList.write(writer, value.children);
    stat.write(writer, value.stat);
  },
};

const readElement = (reader: JuteReader): string => reader.readRequiredString('element of a list');
const writeElement = (writer: JuteWriter, element: string): void => writer.writeString(element);

/** A vector of strings that is never null. */
export const stringList: Codec<readonly string[]> = {
  read: (reader) => {
    const list = reader.readVector(readElement);
    if (list === null) throw new MarshallingError('a list of strings is null');
    return list;
  },
  write: (writer, value) => writer.writeVector(value, writeElement),
};
