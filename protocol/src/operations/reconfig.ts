import type { Codec } from '../codec.ts';

/** `joiningServers ustring, leavingServers ustring, newMembers ustring, curConfigId long`. The reply is getData's. */
export interface ReconfigRequest {
  readonly joiningServers: string | null;
  readonly leavingServers: string | null;
  readonly newMembers: string | null;
  /** The version of the configuration that this is based on; -1 for any. */
  readonly configId: bigint;
}

export const reconfigRequest: Codec<ReconfigRequest> = {
  read: (reader) => ({
    joiningServers: reader.readString(),
    leavingServers: reader.readString(),
    newMembers: reader.readString(),
    configId: reader.readLong(),
  }),
  write: (writer, value) => {
    writer.writeString(value.joiningServers);
    writer.writeString(value.leavingServers);
    writer.writeString(value.newMembers);
    writer.writeLong(value.configId);
  },
};
