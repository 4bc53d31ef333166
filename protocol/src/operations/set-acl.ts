import type { Codec } from '../codec.ts';
import { type Acl, aclList } from '../records/acl.ts';

/** `path ustring, acl vector<ACL>, version int`: the ACL's version, -1 for any. The reply is a Stat. */
export interface SetAclRequest {
  readonly path: string;
  readonly acl: readonly Acl[] | null;
  readonly version: number;
}

export const setAclRequest: Codec<SetAclRequest> = {
  read: (reader) => ({
    path: reader.readRequiredString('path'),
    acl: aclList.read(reader),
    version: reader.readInt(),
  }),
  write: (writer, value) => {
    writer.writeString(value.path);
    aclList.write(writer, value.acl);
    writer.writeInt(value.version);
  },
};
