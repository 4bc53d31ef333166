import type { Codec } from '../codec.ts';
import { type Stat, stat } from '../records/stat.ts';
import { type WatchablePathRequest, watchablePathRequest } from './path-request.ts';

/** `path ustring, watch boolean`. No watch is left when the znode doesn't exist. */
export type GetDataRequest = WatchablePathRequest;
export const getDataRequest: Codec<GetDataRequest> = watchablePathRequest;

/** `data buffer, stat`; data may be null. Also the reply of reconfig. */
export interface GetDataResponse {
  readonly data: Buffer | null;
  readonly stat: Stat;
}

export const getDataResponse: Codec<GetDataResponse> = {
  read: (reader) => ({ data: reader.readBuffer(), stat: stat.read(reader) }),
  write: (writer, value) => {
    writer.writeBuffer(value.data);
    stat.write(writer, value.stat);
  },
};
