/**
 * Conformance: the same scenarios on Apache ZooKeeper 3.8 and on our server, their transcripts compared line by line: error codes,
 * zxids, Stat fields, sequence numbers, events and their place among the replies, what closes a connection. What may differ stands in
 * `deviations.ts`.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whyNoApacheZooKeeper } from '../apache-zookeeper.ts';
import { compare } from './compare.ts';
import { deviations } from './deviations.ts';
import { type Scenario, Stage } from './scenario.ts';
import { expiryScenarios, reaperScenarios } from './scenarios/expiry.ts';
import { whitelistScenarios, wordScenarios } from './scenarios/four-letter-words.ts';
import { randomScenarios } from './scenarios/random.ts';
import { flagScenarios, requestScenarios, SUPER_DIGEST } from './scenarios/requests.ts';
import { restartScenarios } from './scenarios/restart.ts';
import { sessionScenarios } from './scenarios/sessions.ts';
import { watchScenarios } from './scenarios/watches.ts';
import { quotaScenarios, znodeScenarios } from './scenarios/znodes.ts';
import { ServerPair, type ServerPairOptions } from './server-pair.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped, conformance: no Apache ZooKeeper here: ${missing}`);

interface Suite {
  readonly name: string;
  readonly servers: ServerPairOptions;
  readonly scenarios: readonly Scenario[];
}

const suites: readonly Suite[] = [
  {
    name: 'with everything turned on',
    servers: {
      config: {
        extendedTypesEnabled: 'true',
        enforceQuota: 'true',
        'DigestAuthenticationProvider.superDigest': SUPER_DIGEST,
      },
    },
    scenarios: [
      ...requestScenarios,
      ...znodeScenarios,
      ...watchScenarios,
      ...sessionScenarios,
      ...randomScenarios,
      ...expiryScenarios,
      ...wordScenarios,
    ],
  },
  {
    name: 'with the defaults',
    servers: { config: { '4lw.commands.whitelist': 'srvr' } },
    scenarios: [...whitelistScenarios, ...flagScenarios, ...quotaScenarios],
  },
  {
    name: 'with a reaper that looks often',
    servers: { config: { extendedTypesEnabled: 'true' }, properties: { 'znode.container.checkIntervalMs': 300 } },
    scenarios: reaperScenarios,
  },
  {
    // Servers of their own: a check outside of a multi that holds is logged by 3.8 in a way that it can't read when it starts again.
    name: 'that are stopped and started',
    servers: {
      config: { extendedTypesEnabled: 'true', 'DigestAuthenticationProvider.superDigest': SUPER_DIGEST },
    },
    scenarios: restartScenarios,
  },
];

/** Fewer than these would mean that scenarios have been lost. */
const CHECKS_MIN = 10_000;

let checks = 0;
/** Patterns of deviations that were met. */
const seen = new Set<RegExp>();

describe.skipIf(missing !== undefined)('Apache ZooKeeper 3.8 and our server do the same', () => {
  describe.each(suites)('$name', ({ servers, scenarios }) => {
    let pair: ServerPair;
    beforeAll(async () => {
      pair = await ServerPair.start(servers);
    });
    afterAll(() => pair[Symbol.asyncDispose]());

    it.each(scenarios.map((scenario, index) => ({ scenario, name: scenario.name, root: `/c${index}` })))(
      '$name',
      async ({ scenario, name, root }) => {
        const [theirs, ours] = await Promise.all([
          Stage.run(scenario, { server: pair.theirs, root }),
          Stage.run(scenario, { server: pair.ours, root }),
        ]);
        const listed = deviations.filter((deviation) => deviation.scenario.test(name));
        const comparison = compare({ theirs, ours }, listed, seen);
        checks += comparison.checks;
        expect(theirs.length, 'lines of the transcript').toBeGreaterThan(0);
        expect(comparison.report, `\n${comparison.report}\n`).toBe('');
      },
    );
  });

  it('lists no deviation that has gone', () => {
    const gone = deviations.filter(({ theirs, ours }) =>
      [theirs, ours].some((pattern) => pattern !== undefined && !seen.has(pattern)),
    );
    expect(gone).toEqual([]);
  });

  it('compares enough', () => {
    console.info(`conformance: ${checks} lines compared`);
    expect(checks).toBeGreaterThan(CHECKS_MIN);
  });
});
