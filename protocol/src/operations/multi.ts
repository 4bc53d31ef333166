import type { Codec } from '../codec.ts';
import { ErrorCode } from '../error-code.ts';
import type { JuteReader } from '../jute/reader.ts';
import type { JuteWriter } from '../jute/writer.ts';
import { MarshallingError } from '../marshalling-error.ts';
import { OpCode, opCodeName } from '../op-code.ts';
import { type Stat, stat } from '../records/stat.ts';
import { errorResponse } from './add-watch.ts';
import { type CheckVersionRequest, checkVersionRequest } from './check.ts';
import {
  type CreateRequest,
  type CreateTtlRequest,
  create2Response,
  createRequest,
  createResponse,
  createTtlRequest,
} from './create.ts';
import { type DeleteRequest, deleteRequest } from './delete.ts';
import { type GetChildrenRequest, getChildrenRequest, getChildrenResponse } from './get-children.ts';
import { type GetDataRequest, getDataRequest, getDataResponse } from './get-data.ts';
import { type SetDataRequest, setDataRequest } from './set-data.ts';

/** One operation of a multi (writes and checks) or of a multiRead (getData and getChildren). */
export type MultiOperation =
  | {
      readonly type: typeof OpCode.create | typeof OpCode.create2 | typeof OpCode.createContainer;
      readonly request: CreateRequest;
    }
  | { readonly type: typeof OpCode.createTTL; readonly request: CreateTtlRequest }
  | { readonly type: typeof OpCode.delete; readonly request: DeleteRequest }
  | { readonly type: typeof OpCode.setData; readonly request: SetDataRequest }
  | { readonly type: typeof OpCode.check; readonly request: CheckVersionRequest }
  | { readonly type: typeof OpCode.getData; readonly request: GetDataRequest }
  | { readonly type: typeof OpCode.getChildren; readonly request: GetChildrenRequest };

/** What became of one operation. A failed multi has only errors: 0 before the failing one, -2 behind it. */
export type MultiResult =
  | { readonly type: typeof OpCode.create; readonly path: string }
  | { readonly type: typeof OpCode.create2; readonly path: string; readonly stat: Stat }
  | { readonly type: typeof OpCode.delete | typeof OpCode.check }
  | { readonly type: typeof OpCode.setData; readonly stat: Stat }
  | { readonly type: typeof OpCode.getData; readonly data: Buffer | null; readonly stat: Stat }
  | { readonly type: typeof OpCode.getChildren; readonly children: readonly string[] }
  | { readonly type: typeof OpCode.error; readonly err: number };

/** In front of each operation and each result: `type int, done boolean, err int`; `done` ends the list. */
const MULTI_HEADER_BYTES = 9;

/** A list of headers and bodies, ended by the header (-1, true, -1). */
const headed = <T>(
  readBody: (type: number, reader: JuteReader) => T,
  writeOne: (writer: JuteWriter, value: T) => void,
): Codec<readonly T[]> => ({
  read: (reader) => {
    const list: T[] = [];
    for (;;) {
      if (reader.remaining < MULTI_HEADER_BYTES)
        throw new MarshallingError(`a multi ends without its last header at byte ${reader.offset}`);
      const type = reader.readInt();
      const done = reader.readBool();
      reader.readInt();
      if (done) return list;
      list.push(readBody(type, reader));
    }
  },
  write: (writer, value) => {
    for (const one of value) writeOne(writer, one);
    writeHeader(writer, -1, true, -1);
  },
});

const writeHeader = (writer: JuteWriter, type: number, done: boolean, err: number): void => {
  writer.writeInt(type);
  writer.writeBool(done);
  writer.writeInt(err);
};

/** Body of multi and of multiRead. */
export const multiRequest: Codec<readonly MultiOperation[]> = headed(
  (type, reader): MultiOperation => {
    switch (type) {
      case OpCode.create:
      case OpCode.create2:
      case OpCode.createContainer:
        return { type, request: createRequest.read(reader) };
      case OpCode.createTTL:
        return { type, request: createTtlRequest.read(reader) };
      case OpCode.delete:
        return { type, request: deleteRequest.read(reader) };
      case OpCode.setData:
        return { type, request: setDataRequest.read(reader) };
      case OpCode.check:
        return { type, request: checkVersionRequest.read(reader) };
      case OpCode.getData:
        return { type, request: getDataRequest.read(reader) };
      case OpCode.getChildren:
        return { type, request: getChildrenRequest.read(reader) };
      default:
        throw new MarshallingError(`a multi can't hold the operation ${opCodeName(type)}`);
    }
  },
  (writer, operation) => {
    writeHeader(writer, operation.type, false, -1);
    switch (operation.type) {
      case OpCode.createTTL:
        return createTtlRequest.write(writer, operation.request);
      case OpCode.delete:
        return deleteRequest.write(writer, operation.request);
      case OpCode.setData:
        return setDataRequest.write(writer, operation.request);
      case OpCode.check:
        return checkVersionRequest.write(writer, operation.request);
      case OpCode.getData:
        return getDataRequest.write(writer, operation.request);
      case OpCode.getChildren:
        return getChildrenRequest.write(writer, operation.request);
      default:
        return createRequest.write(writer, operation.request);
    }
  },
);

/** Body of the reply to multi and multiRead. */
export const multiResponse: Codec<readonly MultiResult[]> = headed(
  (type, reader): MultiResult => {
    switch (type) {
      case OpCode.create:
        return { type, path: createResponse.read(reader).path };
      case OpCode.create2:
        return { type, ...create2Response.read(reader) };
      case OpCode.delete:
      case OpCode.check:
        return { type };
      case OpCode.setData:
        return { type, stat: stat.read(reader) };
      case OpCode.getData:
        return { type, ...getDataResponse.read(reader) };
      case OpCode.getChildren:
        return { type, ...getChildrenResponse.read(reader) };
      case OpCode.error:
        return { type, err: errorResponse.read(reader).err };
      default:
        throw new MarshallingError(`a multi can't return a result of ${opCodeName(type)}`);
    }
  },
  (writer, result) => {
    writeHeader(writer, result.type, false, result.type === OpCode.error ? result.err : ErrorCode.OK);
    switch (result.type) {
      case OpCode.create:
        return createResponse.write(writer, result);
      case OpCode.create2:
        return create2Response.write(writer, result);
      case OpCode.setData:
        return stat.write(writer, result.stat);
      case OpCode.getData:
        return getDataResponse.write(writer, result);
      case OpCode.getChildren:
        return getChildrenResponse.write(writer, result);
      case OpCode.error:
        return errorResponse.write(writer, result);
      default:
        return;
    }
  },
);
