/**
 * `node build/recipe-doors.js`, when a recipe has been added: gives each file that `recipes/src/index.ts` exports from a door of its own
 * (`zookeeper-recipes-ts/leader-latch`) in `recipes/package.json`. `test/integration/packages.test.ts` says when it is due.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const pathOf = (file) => fileURLToPath(new URL(`../recipes/${file}`, import.meta.url));

const toDoor = (file) => ({
  types: { require: `./dist/commonjs/${file}.d.ts`, default: `./dist/${file}.d.ts` },
  'module-sync': `./dist/${file}.js`,
  module: `./dist/${file}.js`,
  import: `./dist/commonjs/${file}.mjs`,
  require: `./dist/commonjs/${file}.js`,
});

const index = readFileSync(pathOf('src/index.ts'), 'utf8');
const files = new Set([...index.matchAll(/ from '\.\/([^']*)\.ts';$/gm)].map(([, file]) => file));
const manifest = JSON.parse(readFileSync(pathOf('package.json'), 'utf8'));
manifest.exports = {
  '.': toDoor('index'),
  './rx': toDoor('rx'),
  ...Object.fromEntries([...files].sort().map((file) => [`./${file}`, toDoor(file)])),
  './package.json': './package.json',
};
writeFileSync(pathOf('package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
