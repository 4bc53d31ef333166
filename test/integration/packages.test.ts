/**
 * The packages as users get them: packed, unpacked into a folder of their own, imported and required, type-checked. Nothing is
 * fetched: what they depend on is taken from here. Runs what `npm run build` made.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

// Processes, compilers and copies of folders: much for a machine that has other things to do.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const packages = ['protocol', 'client', 'recipes', 'server'] as const;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'packages-'));
  const modules = join(folder, 'node_modules');
  await run('npm', ['pack', '--silent', '--pack-destination', folder, ...packages.map((name) => `./${name}`)], {
    cwd: root,
  });
  for (const tarball of (await readdir(folder)).filter((file) => file.endsWith('.tgz'))) {
    const target = join(modules, tarball.replace(/-\d+\.\d+\.\d+.*$/, ''));
    await mkdir(target, { recursive: true });
    await run('tar', ['-xzf', join(folder, tarball), '-C', target, '--strip-components=1']);
  }
  for (const dependency of ['debug', 'ms', 'retry', 'undici-types', '@types/node']) await install(dependency);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Copies, so that what it needs itself must be there as well. */
async function install(dependency: string): Promise<void> {
  await cp(join(root, 'node_modules', dependency), join(folder, 'node_modules', dependency), { recursive: true });
}

/** The same as an ES module and as CommonJS: a server, a client, an election, an error by its class. */
const body = `
  const server = await TestingServer.start();
  const client = await connect(server.connectString);
  const latch = new LeaderLatch(client, '/master').start();
  await latch.leadership();
  const error: unknown = await client.getData('/nothing').catch((error: unknown) => error);
  const path: string = await client.create('/a', { data: 'b' });
  console.log(path, error instanceof NoNodeError && error.path);
  await latch.close();
  await client.close();
  await server.close();
`;
const typed = {
  'module.mts': `
    import { CuratorFramework, connect, NoNodeError } from 'zookeeper-client-ts';
    import { LeaderLatch } from 'zookeeper-recipes-ts/leader-latch';
    import { TestingServer } from 'zookeeper-server-ts/testing';
    ${body}
    export const builder = CuratorFramework.builder();`,
  'commonjs.cts': `
    import { CuratorFramework, connect, NoNodeError } from 'zookeeper-client-ts';
    import { LeaderLatch } from 'zookeeper-recipes-ts/leader-latch';
    import { TestingServer } from 'zookeeper-server-ts/testing';
    async function main(): Promise<void> {${body}}
    void main();
    export const builder = CuratorFramework.builder();`,
  'every-door.mts': `
    export * as protocol from 'zookeeper-protocol-ts';
    export * as recipes from 'zookeeper-recipes-ts';
    export * as server from 'zookeeper-server-ts';`,
  'every-door.cts': `
    export * as protocol from 'zookeeper-protocol-ts';
    export * as recipes from 'zookeeper-recipes-ts';
    export * as server from 'zookeeper-server-ts';`,
};

/** Node as it is, and as it was before `require` could load an ES module (up to 20.18). */
const nodes: readonly [string, readonly string[]][] = [
  ['this Node', []],
  ['a Node that can only require CommonJS', ['--no-experimental-require-module']],
];

async function node(flags: readonly string[], file: string, code: string): Promise<string> {
  await writeFile(join(folder, file), code);
  const { stdout, stderr } = await run(process.execPath, [...flags, file], { cwd: folder });
  return stdout + stderr;
}

describe.each(nodes)('with %s, the packages', (_, flags) => {
  it('are one copy each, whoever imports and whoever requires them', async () => {
    const output = await node(
      flags,
      'both.mjs',
      `import { createRequire } from 'node:module';
       const require = createRequire(import.meta.url);
       for (const door of ['zookeeper-protocol-ts', 'zookeeper-client-ts', 'zookeeper-recipes-ts',
           'zookeeper-recipes-ts/leader-latch', 'zookeeper-server-ts', 'zookeeper-server-ts/testing']) {
         const imported = await import(door);
         const required = require(door);
         const names = Object.keys(required);
         const other = names.filter((name) => imported[name] !== required[name]);
         console.log(door, names.length > 0, other.join());
       }
       const { LeaderLatch } = await import('zookeeper-recipes-ts');
       console.log(LeaderLatch === require('zookeeper-recipes-ts/leader-latch').LeaderLatch);`,
    );
    expect(output).toBe(
      [
        'zookeeper-protocol-ts true ',
        'zookeeper-client-ts true ',
        'zookeeper-recipes-ts true ',
        'zookeeper-recipes-ts/leader-latch true ',
        'zookeeper-server-ts true ',
        'zookeeper-server-ts/testing true ',
        'true\n',
      ].join('\n'),
    );
  });

  it('need rxjs only where watch streams are imported', async () => {
    const rx = join(folder, 'node_modules', 'rxjs');
    await rm(rx, { recursive: true, force: true });
    const load = `const { connect } = require('zookeeper-client-ts');
      try { require('zookeeper-client-ts/rx'); } catch (error) { console.log(typeof connect, error.code); }`;
    expect(await node(flags, 'without-rx.cjs', load)).toMatch(/^function (ERR_)?MODULE_NOT_FOUND\n$/);
    await install('rxjs');
    await install('tslib');
    const use = `import { watch } from 'zookeeper-client-ts/rx'; console.log(typeof watch);`;
    expect(await node(flags, 'with-rx.mjs', use)).toBe('function\n');
    await rm(rx, { recursive: true });
  });
});

describe('the packages', () => {
  it('have the right types for ES modules and CommonJS, and do what they say in both', async () => {
    for (const [file, text] of Object.entries(typed)) await writeFile(join(folder, file), text);
    const options = { module: 'node16', target: 'es2022', lib: ['es2023', 'esnext.disposable'], strict: true };
    const compilerOptions = { ...options, exactOptionalPropertyTypes: true, types: ['node'], outDir: 'out' };
    const files = Object.keys(typed);
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
    const { stdout } = await run(join(root, 'node_modules/.bin/tsc'), ['-p', folder], { cwd: folder }).catch(
      (error) => error,
    );
    expect(stdout).toBe('');
    for (const [, flags] of nodes) {
      for (const file of ['out/module.mjs', 'out/commonjs.cjs']) {
        const { stdout } = await run(process.execPath, [...flags, file], { cwd: folder });
        expect(stdout).toBe('/a /nothing\n');
      }
    }
  });

  it('hold the sources that their source maps name, and no tests', async () => {
    for (const name of packages) {
      const target = join(folder, 'node_modules', `zookeeper-${name}-ts`);
      const files = (await readdir(target, { recursive: true })).map((file) => file.replaceAll('\\', '/'));
      expect(files.filter((file) => /\.(test|fixture)\.|tsbuildinfo/.test(file))).toEqual([]);
      const maps = files.filter((file) => file.endsWith('.js.map'));
      expect(maps.length).toBeGreaterThan(10);
      for (const map of maps) {
        const { sources } = JSON.parse(await readFile(join(target, map), 'utf8')) as { sources: string[] };
        for (const source of sources) expect(files).toContain(join(map, '..', source));
      }
      expect(files).toEqual(expect.arrayContaining(['README.md', 'LICENSE']));
    }
  });

  it('have a door for each file of recipes that the whole package tells of, and for no other', async () => {
    const index = await readFile(join(root, 'recipes/src/index.ts'), 'utf8');
    const told = ['rx', ...[...index.matchAll(/ from '\.\/([^']*)\.ts';$/gm)].map((match) => match[1])];
    const files = (await readdir(join(root, 'recipes/src'), { recursive: true }))
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => /^(?!.*\.(test|fixture)\.).*\.ts$/.test(file))
      .map((file) => file.replace(/\.ts$/, ''));
    const require = createRequire(join(folder, 'any.cjs'));
    const isOpen = (file: string): boolean => {
      try {
        require.resolve(`zookeeper-recipes-ts/${file}`);
        return true;
      } catch {
        // Not among the exports of its package.json: if it should be, `node build/recipe-doors.js` puts it there.
        return false;
      }
    };
    expect(told).toContain('leader-latch');
    expect(files.filter(isOpen).toSorted()).toEqual([...new Set(told)].toSorted());
  });
});
