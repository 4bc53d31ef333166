import type { Codec } from '../codec.ts';
import { type VersionedPathRequest, versionedPathRequest } from './path-request.ts';

/** Inside a multi: fails it unless the znode exists with this version. `path ustring, version int`. */
export type CheckVersionRequest = VersionedPathRequest;
export const checkVersionRequest: Codec<CheckVersionRequest> = versionedPathRequest;
