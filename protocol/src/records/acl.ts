import type { Codec } from '../codec.ts';
import type { JuteReader } from '../jute/reader.ts';

/** Permission bits (ZooKeeper's `ZooDefs.Perms`). */
export const Permission = { READ: 1, WRITE: 2, CREATE: 4, DELETE: 8, ADMIN: 16, ALL: 31 } as const;

/** An identity: a scheme (`world`, `auth`, `digest`, `ip`, …) and what it names there. */
export interface Id {
  readonly scheme: string | null;
  readonly id: string | null;
}

/** Permission bits for one identity. */
export interface Acl {
  readonly perms: number;
  readonly id: Id;
}

/** The well-known lists (ZooKeeper's `ZooDefs.Ids`). */
export const OPEN_ACL: readonly Acl[] = [{ perms: Permission.ALL, id: { scheme: 'world', id: 'anyone' } }];
export const READ_ACL: readonly Acl[] = [{ perms: Permission.READ, id: { scheme: 'world', id: 'anyone' } }];
/** All permissions for whoever creates the znode; the connection must have authenticated. */
export const CREATOR_ALL_ACL: readonly Acl[] = [{ perms: Permission.ALL, id: { scheme: 'auth', id: '' } }];

export const identity: Codec<Id> = {
  read: (reader) => ({ scheme: reader.readString(), id: reader.readString() }),
  write: (writer, value) => {
    writer.writeString(value.scheme);
    writer.writeString(value.id);
  },
};

export const acl: Codec<Acl> = {
  read: (reader) => ({ perms: reader.readInt(), id: identity.read(reader) }),
  write: (writer, value) => {
    writer.writeInt(value.perms);
    identity.write(writer, value.id);
  },
};

/** A vector of ACLs; null is a legal, if useless, value on the wire. */
export const aclList: Codec<readonly Acl[] | null> = {
  read: (reader: JuteReader) => reader.readVector(acl.read, 12),
  write: (writer, value) => writer.writeVector(value, acl.write),
};
