/** The code in the documents compiles, against the packages as `npm run build` made them. (The README's own example also runs.) */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const documents = [
  'README.md',
  'client/README.md',
  'docs/watch-streams.md',
  'recipes/README.md',
  'server/README.md',
  'protocol/README.md',
];

/** What readers bring along. */
const assumed: Record<string, string> = {
  client: "declare const client: import('zookeeper-client-ts').CuratorFramework;",
  step: 'declare function step(token: bigint, signal: AbortSignal): Promise<void>;',
};

it('every TypeScript block in a README compiles', { timeout: 60_000 }, async () => {
  await mkdir(join(root, 'node_modules/.cache'), { recursive: true });
  const folder = await mkdtemp(join(root, 'node_modules/.cache/documents-'));
  try {
    let blocks = 0;
    for (const document of documents) {
      for (const [, code = ''] of (await readFile(join(root, document), 'utf8')).matchAll(/```ts\n([\s\S]*?)```/g)) {
        const missing = Object.entries(assumed)
          .filter(
            ([name]) => new RegExp(`\\b${name}\\b`).test(code) && !new RegExp(`(const|using) ${name}\\b`).test(code),
          )
          .map(([, declaration]) => declaration);
        await writeFile(
          join(folder, `block-${++blocks}.ts`),
          [...missing, `// ${document}`, code, 'export {};', ''].join('\n'),
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
