import { gunzipSync, gzip } from 'node:zlib';
import type { Gzip } from '../storage/snapshot-format.ts';

/** {@link Gzip} by Node's zlib. Compresses on the thread pool; decompresses at once, which is only done at start-up. */
export const nodeGzip: Gzip = {
  compress: (bytes, done) => gzip(bytes, { level: LEVEL }, (error, compressed) => done(error, compressed)),
  decompress: (bytes) => gunzipSync(bytes),
};

/** Nearly as small as the default, in half the time. */
const LEVEL = 3;
