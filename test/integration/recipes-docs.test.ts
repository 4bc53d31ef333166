/**
 * Every code block of `docs/recipes.md` runs, each on a server of its own, and prints what the document says: the comment `// → …`
 * behind a `console.log`. Names that are neither declared nor imported in a block come from the packages, or are what readers bring
 * along.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { format } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CuratorFramework, connect } from 'zookeeper-client-ts';
import { TestingServer } from 'zookeeper-server-ts/testing';
import { blocksOf, withImports } from './document-blocks.fixture.ts';

const document = fileURLToPath(new URL('../../docs/recipes.md', import.meta.url));

/** What a block finds, beside what the packages export. */
interface Surroundings {
  readonly client: CuratorFramework;
  /** Stands in for `console.log`. */
  readonly print: (...values: unknown[]) => void;
  readonly step: (token: bigint, signal: AbortSignal) => Promise<void>;
  readonly store: { write(row: string, options: { readonly fencingToken: bigint }): Promise<void> };
}

/** A block as a module whose `run` does what it does. */
function toModule(code: string): string {
  const { imports, body } = withImports(code);
  return [
    imports,
    'export async function run({ client, print, step, store }) {',
    body.replaceAll('console.log(', 'print('),
    '}',
    '',
  ].join('\n');
}

const promised = (code: string): string[] => [...code.matchAll(/\/\/ → (.*)/g)].map(([, text = '']) => text);

describe('docs/recipes.md', async () => {
  const blocks = blocksOf(await readFile(document, 'utf8'));
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'recipes-'));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  it('has code', () => {
    expect(blocks.length).toBeGreaterThan(10);
  });

  it.each(blocks.map((block, index) => ({ ...block, index })))('$heading: line $line', async ({ code, index }) => {
    const file = join(folder, `block-${index}.ts`);
    await writeFile(file, toModule(code));
    const { run } = (await import(pathToFileURL(file).href)) as { run(surroundings: Surroundings): Promise<void> };
    await using server = await TestingServer.start({ extendedTypesEnabled: true });
    await using client = await connect(server.connectString);
    const printed: string[] = [];
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    await run({
      client,
      print: (...values) => printed.push(format(...values)),
      step: async (token) => {
        expect(token).toBeTypeOf('bigint');
        await sleep(1);
      },
      store: { write: async (_row, { fencingToken }) => expect(fencingToken).toBeTypeOf('bigint') },
    });
    expect(printed).toEqual(promised(code));
    expect(errors).toEqual([]);
  });
});
