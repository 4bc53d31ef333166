/**
 * The last step of `npm run build`, behind `tsc -b`: makes each package's `dist` what is published.
 *
 * - Outputs whose source is gone are removed: the compiler leaves them.
 * - `dist/commonjs`, which the compiler has written, becomes a CommonJS door: it says what the files there are, and beside each
 *   door stands an ES module that passes on its names. So there is one copy of each package in one process, whoever imports and
 *   whoever requires it: `docs/decisions/0006-one-copy-of-each-package.md`.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const filesBelow = (folder) => readdirSync(folder, { recursive: true }).map((file) => join(folder, String(file)));

for (const name of ['protocol', 'client', 'recipes', 'server']) {
  const folder = join(root, name);
  const dist = join(folder, 'dist');
  for (const file of filesBelow(dist)) {
    const [, source] = /^(?:commonjs[\\/])?(.*?)\.(?:m?js|d\.ts)(?:\.map)?$/.exec(relative(dist, file)) ?? [];
    if (source !== undefined && !existsSync(join(folder, 'src', `${source}.ts`))) rmSync(file);
  }
  writeFileSync(join(folder, 'dist/commonjs/package.json'), '{ "type": "commonjs" }\n');
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  for (const door of Object.values(exports)) {
    if (typeof door === 'string') continue;
    writeFileSync(join(folder, door.import), `export * from './${basename(door.require)}';\n`);
  }
}
