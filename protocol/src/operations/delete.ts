import type { Codec } from '../codec.ts';
import { type VersionedPathRequest, versionedPathRequest } from './path-request.ts';

/** `path ustring, version int`; the reply has no body. */
export type DeleteRequest = VersionedPathRequest;
export const deleteRequest: Codec<DeleteRequest> = versionedPathRequest;
