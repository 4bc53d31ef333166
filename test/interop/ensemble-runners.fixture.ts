/** How an Apache ZooKeeper is run as a member of an ensemble of processes: by `zk-server.sh` of the folder INTEROP_DIR. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Runner } from '../integration/ensemble-processes.fixture.ts';

const interopDir = process.env.INTEROP_DIR ?? fileURLToPath(new URL('../../../shared/interop', import.meta.url));

export const java: Runner = (zooCfg) => [join(interopDir, 'zk-server.sh'), 'run', zooCfg];
