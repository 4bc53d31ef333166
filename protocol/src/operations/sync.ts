import type { Codec } from '../codec.ts';
import { type PathRequest, pathRequest } from './path-request.ts';

/** Request and reply: `path ustring`. */
export type SyncRequest = PathRequest;
export const syncRequest: Codec<SyncRequest> = pathRequest;
export const syncResponse: Codec<SyncRequest> = pathRequest;
