/**
 * The code in the documents compiles, against the packages as `npm run build` made them. (The README's own example also runs, and so
 * does the code in `docs/recipes.md`.)
 */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { blocksOf, isMissing, withImports } from './document-blocks.fixture.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const documents = [
  'README.md',
  'client/README.md',
  'docs/client.md',
  'docs/recipes.md',
  'docs/watch-streams.md',
  'recipes/README.md',
  'server/README.md',
  'protocol/README.md',
];

/** The one whose code leaves imports to its reader. */
const importing = 'docs/recipes.md';

/** What readers bring along. */
const assumed: Record<string, string> = {
  client: "declare const client: import('zookeeper-client-ts').CuratorFramework;",
  store: 'declare const store: { write(row: string, options: { fencingToken: bigint }): Promise<void> };',
  step: 'declare function step(token: bigint, signal: AbortSignal): Promise<void>;',
};

it('every TypeScript block in a document compiles', { timeout: 60_000 }, async () => {
  await mkdir(join(root, 'node_modules/.cache'), { recursive: true });
  const folder = await mkdtemp(join(root, 'node_modules/.cache/documents-'));
  try {
    let blocks = 0;
    for (const document of documents) {
      for (const { code, line } of blocksOf(await readFile(join(root, document), 'utf8'))) {
        const declarations = Object.entries(assumed)
          .filter(([name]) => isMissing(code, name))
          .map(([, declaration]) => declaration);
        const { imports, body } = document === importing ? withImports(code) : { imports: '', body: code };
        await writeFile(
          join(folder, `block-${++blocks}.ts`),
          [`// ${document}, line ${line}`, imports, ...declarations, body, 'export {};', ''].join('\n'),
        );
      }
    }
    expect(blocks).toBeGreaterThan(5);
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        extends: join(root, 'tsconfig.base.json'),
        compilerOptions: {
          noEmit: true,
          composite: false,
          incremental: false,
          noUnusedLocals: false,
          noUnusedParameters: false,
          typeRoots: [join(root, 'node_modules/@types')],
        },
        include: ['*.ts'],
      }),
    );
    const { status, stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  } finally {
    await rm(folder, { recursive: true });
  }
});
