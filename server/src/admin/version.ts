/** The version that this server behaves as, and its own behind it. Tools read the number in front. */
export const VERSION = '3.8.0-curator-ts-0.1.0';

/** As the original tells it in `srvr`, `envi` and `mntr`. */
export const FULL_VERSION = `${VERSION}, built on 2026-11-23 00:00 UTC`;
