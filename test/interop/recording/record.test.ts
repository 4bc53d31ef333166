/** The door to the recorder: skipped unless the fixtures are to be recorded again, which `RECORD=1` asks for. */

import { it } from 'vitest';
import { recordFixtures } from './record.ts';

if (process.env.RECORD !== '1') console.warn('skipped, recording the fixtures anew: only when RECORD=1 asks for it');

it.runIf(process.env.RECORD === '1')('every client can be recorded anew', { timeout: 300_000 }, recordFixtures);
