import type { Codec } from '../codec.ts';
import { type Acl, aclList } from '../records/acl.ts';
import { type Stat, stat } from '../records/stat.ts';
import { type PathRequest, pathRequest } from './path-request.ts';

/** Body of create, create2 and createContainer. `path ustring, data buffer, acl vector<ACL>, flags int`. */
export interface CreateRequest {
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly acl: readonly Acl[] | null;
  /** A create mode, as sent: not known to be a valid one. */
  readonly flags: number;
}

export const createRequest: Codec<CreateRequest> = {
  read: (reader) => ({
    path: reader.readRequiredString('path'),
    data: reader.readBuffer(),
    acl: aclList.read(reader),
    flags: reader.readInt(),
  }),
  write: (writer, value) => {
    writer.writeString(value.path);
    writer.writeBuffer(value.data);
    aclList.write(writer, value.acl);
    writer.writeInt(value.flags);
  },
};

/** Body of createTTL: create's, then `ttl long`, ms. */
export interface CreateTtlRequest extends CreateRequest {
  readonly ttlMs: number;
}

export const createTtlRequest: Codec<CreateTtlRequest> = {
  read: (reader) => ({ ...createRequest.read(reader), ttlMs: reader.readLongAsNumber() }),
  write: (writer, value) => {
    createRequest.write(writer, value);
    writer.writeLongFromNumber(value.ttlMs);
  },
};

/** Reply of create: the path with its sequence number. */
export const createResponse: Codec<PathRequest> = pathRequest;

/** Reply of create2, createContainer and createTTL. */
export interface Create2Response {
  readonly path: string;
  readonly stat: Stat;
}

export const create2Response: Codec<Create2Response> = {
  read: (reader) => ({ path: reader.readRequiredString('path'), stat: stat.read(reader) }),
  write: (writer, value) => {
    writer.writeString(value.path);
    stat.write(writer, value.stat);
  },
};
