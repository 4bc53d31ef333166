import type { Codec } from '../codec.ts';
import { type Acl, aclList } from '../records/acl.ts';
import { type Stat, stat } from '../records/stat.ts';
import { type PathRequest, pathRequest } from './path-request.ts';

export type GetAclRequest = PathRequest;
export const getAclRequest: Codec<GetAclRequest> = pathRequest;

/** `acl vector<ACL>, stat`. */
export interface GetAclResponse {
  readonly acl: readonly Acl[] | null;
  readonly stat: Stat;
}

export const getAclResponse: Codec<GetAclResponse> = {
  read: (reader) => ({ acl: aclList.read(reader), stat: stat.read(reader) }),
  write: (writer, value) => {
    aclList.write(writer, value.acl);
    stat.write(writer, value.stat);
  },
};
