/** The files that our server leaves after the scenarios are opened by Apache ZooKeeper, and hold the same tree for it. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ZooKeeper } from 'zookeeper-client-ts';
import { parseZooCfg, ZooKeeperServer } from 'zookeeper-server-ts';
import { startApacheZooKeeper, whyNoApacheZooKeeper } from '../apache-zookeeper.ts';
import { type Scenario, Stage } from './scenario.ts';
import { randomScenarios } from './scenarios/random.ts';
import { requestScenarios, SUPER, SUPER_DIGEST } from './scenarios/requests.ts';
import { sessionScenarios } from './scenarios/sessions.ts';
import { znodeScenarios } from './scenarios/znodes.ts';

const SETTINGS = {
  tickTime: 500,
  maxClientCnxns: 0,
  extendedTypesEnabled: 'true',
  'DigestAuthenticationProvider.superDigest': SUPER_DIGEST,
  'admin.enableServer': 'false',
};

/** Every znode with its data, ACL and Stat, as text. */
async function treeOf(connectString: string): Promise<readonly string[]> {
  // The reply to a read of the largest znode is larger than the largest request.
  const zk = new ZooKeeper({ connectString, sessionTimeoutMs: 10_000, frameBytesMax: 2 ** 21 });
  try {
    await zk.addAuth('digest', SUPER);
    const lines: string[] = [];
    const visit = async (path: string): Promise<void> => {
      const { data, stat } = await zk.getData(path);
      const { acl } = await zk.getACL(path);
      const shown = Object.entries(stat).map(([name, value]) => `${name} ${value}`);
      lines.push(`${JSON.stringify(path)} ${data?.toString('hex')} ${JSON.stringify(acl)} ${shown.join(', ')}`);
      const { children } = await zk.getChildren(path);
      for (const child of [...children].sort()) await visit(path === '/' ? `/${child}` : `${path}/${child}`);
    };
    await visit('/');
    return lines;
  } finally {
    await zk.close();
  }
}

/** Runs scenarios on our server, stops it, and lets Apache ZooKeeper start on its files. Returns the tree as each of them shows it. */
async function handOver(
  scenarios: readonly Scenario[],
): Promise<{ ours: readonly string[]; theirs: readonly string[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'conformance-files-'));
  try {
    const ours = await leaveFiles(scenarios, join(folder, 'ours'));
    const dataDir = join(folder, 'theirs');
    await using apache = await startApacheZooKeeper({ config: { ...SETTINGS, dataDir } });
    await apache.kill();
    await rm(join(dataDir, 'version-2'), { recursive: true });
    await cp(join(folder, 'ours', 'version-2'), join(dataDir, 'version-2'), { recursive: true });
    await apache.restart();
    return { ours, theirs: await treeOf(apache.connectString) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** @returns the tree that our server had at the end */
async function leaveFiles(scenarios: readonly Scenario[], dataDir: string): Promise<readonly string[]> {
  const lines = Object.entries(SETTINGS).map(([key, value]) => `${key}=${value}`);
  const { config } = parseZooCfg(
    [`dataDir=${dataDir}`, 'clientPort=0', 'clientPortAddress=127.0.0.1', ...lines].join('\n'),
    { file: 'zoo.cfg' },
  );
  await using server = await ZooKeeperServer.start(config);
  const side = { port: server.address.port, restart: () => Promise.reject(new Error('no scenario of these restarts')) };
  for (const [index, scenario] of scenarios.entries()) await Stage.run(scenario, { server: side, root: `/c${index}` });
  return await treeOf(server.connectString);
}

const all = [...requestScenarios, ...znodeScenarios, ...sessionScenarios, ...randomScenarios];

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped, Apache ZooKeeper on our files: ${missing}`);

describe.skipIf(missing !== undefined)('Apache ZooKeeper opens the files of our server', () => {
  it('after a thousand writes of all kinds, and sees the same tree', async () => {
    const { ours, theirs } = await handOver(all);
    expect(ours.length).toBeGreaterThan(500);
    expect(theirs).toEqual(ours);
  });
});
