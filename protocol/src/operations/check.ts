import type { Codec } from '../codec.ts';
import { type VersionedPathRequest, versionedPathRequest } from './path-request.ts';

/**
 * Inside a multi: fails it unless the znode exists with this version. `path ustring, version int`. Outside of one, servers up
 * to 3.8 refuse a check that fails and never answer one that holds; later ones don't know it.
 */
export type CheckVersionRequest = VersionedPathRequest;
export const checkVersionRequest: Codec<CheckVersionRequest> = versionedPathRequest;
