/** Which ACL a znode gets when its maker names none (Curator's `ACLProvider`). */
import { type Acl, OPEN_ACL } from 'zookeeper-protocol-ts';

export interface ACLProvider {
  getDefaultAcl(): readonly Acl[];
  /** Asked first, with the path as the server will know it, namespace included. Undefined for the default. */
  getAclForPath(path: string): readonly Acl[] | undefined;
}

/** Open to all. */
export const openAclProvider: ACLProvider = { getDefaultAcl: () => OPEN_ACL, getAclForPath: () => undefined };

export const aclFor = (provider: ACLProvider, path: string): readonly Acl[] =>
  provider.getAclForPath(path) ?? provider.getDefaultAcl();
