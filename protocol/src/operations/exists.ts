import type { Codec } from '../codec.ts';
import { type Stat, stat } from '../records/stat.ts';
import { type WatchablePathRequest, watchablePathRequest } from './path-request.ts';

/** `path ustring, watch boolean`. The watch is left also when the znode doesn't exist. */
export type ExistsRequest = WatchablePathRequest;
export const existsRequest: Codec<ExistsRequest> = watchablePathRequest;

/** Replies that are a Stat alone: exists, setData, setACL. */
export interface StatResponse {
  readonly stat: Stat;
}

export const statResponse: Codec<StatResponse> = {
  read: (reader) => ({ stat: stat.read(reader) }),
  write: (writer, value) => stat.write(writer, value.stat),
};
