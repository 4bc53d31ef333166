/** The door to the recorder: skipped unless the fixtures are to be recorded again, which `RECORD=1` asks for. */

import { it } from 'vitest';
import { recordFixtures } from './record.ts';

it.runIf(process.env.RECORD === '1')('every client can be recorded anew', { timeout: 300_000 }, recordFixtures);
