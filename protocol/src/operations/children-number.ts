import type { Codec } from '../codec.ts';
import { type PathRequest, pathRequest } from './path-request.ts';

export type GetAllChildrenNumberRequest = PathRequest;
export const getAllChildrenNumberRequest: Codec<GetAllChildrenNumberRequest> = pathRequest;

/** `totalNumber int`: of all znodes below the path, at any depth. */
export interface GetAllChildrenNumberResponse {
  readonly totalNumber: number;
}

export const getAllChildrenNumberResponse: Codec<GetAllChildrenNumberResponse> = {
  read: (reader) => ({ totalNumber: reader.readInt() }),
  write: (writer, value) => writer.writeInt(value.totalNumber),
};
