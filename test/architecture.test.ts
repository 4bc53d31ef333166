/**
 * The house rules, checked by reading the sources: who may import whom, what the core must never see, no import cycles, no
 * dead files (the idea is that of tigerbeetle's `tidy.zig`). If it stops you, the design question is real: move the decision,
 * or change the list here in a reviewed commit.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Packages, what else they may import, and where programs and package doors start. */
const packages = {
  protocol: { imports: [], doors: ['index.ts'] },
  client: { imports: ['zookeeper-protocol-ts', 'rxjs', 'retry', 'debug'], doors: ['index.ts', 'rx.ts', 'cli/main.ts'] },
  recipes: { imports: ['zookeeper-client-ts', 'rxjs'], doors: ['index.ts', 'rx.ts'] },
  server: {
    imports: ['zookeeper-protocol-ts', 'debug'],
    doors: ['index.ts', 'node/main.ts', 'node/txnlog-tool.ts', 'node/snapshot-tool.ts', 'testing/testing-server.ts'],
  },
} as const;
type PackageName = keyof typeof packages;

/** The only places that may see the real machine. */
const machine = [
  /^(server\/src\/node|client\/src\/cli)\//,
  /^client\/src\/(session\/tcp-transport|gzip-compression-provider|diagnostics)\.ts$/,
  // AsyncLocalStorage: which flow of control asks for a lock.
  /^recipes\/src\/lock-scope\.ts$/,
  // networkInterfaces: where others can reach this machine.
  /^recipes\/src\/discovery\/local-address\.ts$/,
];

/** Areas of the server, and what each may import of the others. */
const serverAreas: Record<string, readonly string[]> = {
  invariant: [],
  fifo: [],
  ports: [],
  ensemble: [],
  election: ['invariant', 'ports', 'ensemble', 'zab'],
  zab: ['invariant', 'fifo', 'ports', 'ensemble'],
  'quorum-peer': ['invariant', 'ports', 'ensemble', 'election', 'zab'],
  tree: ['invariant'],
  session: ['invariant', 'ports'],
  watch: ['invariant'],
  database: ['invariant', 'tree', 'session'],
  request: ['invariant', 'fifo', 'ports', 'database', 'tree', 'session', 'watch'],
  storage: ['invariant', 'ports', 'database', 'tree'],
  config: ['ports', 'ensemble', 'session', 'storage'],
  'ensemble-lines': ['ensemble'],
  'zoo-cfg': [
    'config',
    'config-properties',
    'config-unsupported',
    'ensemble',
    'ensemble-lines',
    'ports',
    'session',
    'storage',
  ],
  'config-unsupported': [],
  'config-properties': [],
  admin: ['invariant', 'ports', 'ensemble', 'database', 'tree', 'config'],
  connection: ['invariant', 'ports', 'ensemble', 'request', 'admin', 'zab'],
};

/** Plain synchronous code over its own data: agreement and the replicated state. */
const pure =
  /^server\/src\/(election|zab|tree|session|watch|request)\/|^server\/src\/(database|quorum-peer|ensemble|config|zoo-cfg|invariant)\.ts$|^protocol\/src\//;
/** Deterministic given the ports, which they may call. */
const deterministic =
  /^server\/src\/(storage|connection|admin)\/|^server\/src\/(server|pipeline|answers|client-sessions|watch-notifier|upkeep|ports)\.ts$|^client\/src\/session\/|^client\/src\/watch\/watch-registry\.ts$/;

const banned: readonly [RegExp, string][] = [
  [/\bDate\b/, 'Date'],
  [/\bperformance\b/, 'performance'],
  [/\bMath\.random\b/, 'Math.random'],
  [/\b(setTimeout|setInterval|setImmediate|queueMicrotask)\b/, 'a timer'],
  [/\bprocess\b/, 'process'],
  [/\bconsole\b/, 'console'],
  [/\bcrypto\b/, 'crypto'],
  [/\bPromise\b/, 'Promise'],
  [/\basync\b|\bawait\b/, 'async'],
  [/\blocaleCompare\b|\bIntl\b/, 'locales'],
  [/\b(WeakRef|FinalizationRegistry)\b/, 'garbage collection'],
];

interface Source {
  /** From the root, with slashes. */
  readonly path: string;
  readonly package: PackageName;
  readonly text: string;
  /** Without comments and the contents of strings. */
  readonly code: string;
  readonly imports: readonly string[];
}

const filesBelow = (folder: string): string[] =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return filesBelow(path);
    return /\.ts$/.test(entry.name) ? [path] : [];
  });

const bare = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, (match) =>
    match.startsWith('`') ? match.replace(/[^`${}\w.()]/g, ' ') : '',
  );

const sources: Source[] = (Object.keys(packages) as PackageName[]).flatMap((name) =>
  filesBelow(`${name}/src`)
    // Tests, and what only tests use, are not part of the packages.
    .filter((path) => !/\.(test|fixture)\.ts$/.test(path))
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      const imports = [
        ...text.matchAll(/(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+'([^']+)'|\bimport\('([^']+)'\)/g),
      ].map((match) => match[1] ?? match[2] ?? '');
      return { path, package: name, text, code: bare(text), imports };
    }),
);
const byPath = new Map(sources.map((source) => [source.path, source]));

const resolved = (source: Source, target: string): string =>
  relative(root, join(root, dirname(source.path), target))
    .split(sep)
    .join('/');

const areaOf = (path: string): string => /^server\/src\/([^/.]+)/.exec(path)?.[1] ?? '';

describe('the sources', () => {
  it('are found', () => {
    expect(sources.length).toBeGreaterThan(60);
    expect(sources.flatMap((source) => source.imports).length).toBeGreaterThan(150);
  });

  it('import only the packages that their own may stand on', () => {
    const wrong = sources.flatMap((source) =>
      source.imports
        .filter((target) => !target.startsWith('.') && !target.startsWith('node:'))
        .filter((target) => !(packages[source.package].imports as readonly string[]).includes(target))
        .map((target) => `${source.path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('see the real machine only where it is adapted', () => {
    const wrong = sources
      .filter((source) => !machine.some((pattern) => pattern.test(source.path)))
      .flatMap((source) =>
        source.imports
          .filter((target) => target.startsWith('node:'))
          .map((target) => `${source.path} imports ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  it('import files of their own package by a relative path with its ending', () => {
    const wrong = sources.flatMap((source) =>
      source.imports
        .filter((target) => target.startsWith('.'))
        .filter((target) => !byPath.has(resolved(source, target)))
        .map((target) => `${source.path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('keep to the directions inside the server', () => {
    const wrong = sources
      .filter((source) => source.package === 'server')
      .flatMap((source) => {
        const area = areaOf(source.path);
        const allowed = serverAreas[area];
        if (allowed === undefined) return [];
        return source.imports
          .filter((target) => target.startsWith('.'))
          .map((target) => areaOf(resolved(source, target)))
          .filter((target) => target !== area && !allowed.includes(target))
          .map((target) => `${source.path} imports from ${target}`);
      });
    expect(wrong).toEqual([]);
  });

  it('reach the server itself and its machine only from above', () => {
    const above = /^server\/src\/(index\.ts|server\.ts|node\/|testing\/)/;
    const wrong = sources
      .filter((source) => source.package === 'server' && !above.test(source.path))
      .flatMap((source) =>
        source.imports
          .filter((target) => target.startsWith('.'))
          .map((target) => resolved(source, target))
          .filter((target) => above.test(target))
          .map((target) => `${source.path} imports ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  it('have no clock, timer, promise, randomness or console in the core', () => {
    const wrong = sources
      .filter(
        (source) =>
          (pure.test(source.path) || deterministic.test(source.path)) && !machine.some((m) => m.test(source.path)),
      )
      .flatMap((source) =>
        banned.filter(([pattern]) => pattern.test(source.code)).map(([, what]) => `${source.path} uses ${what}`),
      );
    expect(wrong).toEqual([]);
  });

  it('have no import cycles, types included', () => {
    const cycles: string[] = [];
    const finished = new Set<string>();
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) {
        cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
        return;
      }
      if (finished.has(path)) return;
      const source = byPath.get(path);
      for (const target of source?.imports ?? []) {
        if (source && target.startsWith('.')) visit(resolved(source, target), [...trail, path]);
      }
      finished.add(path);
    };
    for (const source of sources) visit(source.path, []);
    expect(cycles).toEqual([]);
  });

  it('are all reachable from a door of their package, or are a fake that a test uses', () => {
    const reached = new Set<string>();
    const reach = (path: string): void => {
      const source = byPath.get(path);
      if (source === undefined || reached.has(path)) return;
      reached.add(path);
      for (const target of source.imports) if (target.startsWith('.')) reach(resolved(source, target));
    };
    for (const [name, { doors }] of Object.entries(packages)) for (const door of doors) reach(`${name}/src/${door}`);
    expect(sources.map((source) => source.path).filter((path) => !reached.has(path))).toEqual([]);
  });

  it('hold no type holes', () => {
    const hole = /\bas any\b|: any\b|<any>/;
    const comment = /@ts-(ignore|expect-error|nocheck)/;
    const wrong = sources
      .filter((source) => hole.test(source.code) || comment.test(source.text))
      .map((source) => source.path);
    expect(wrong).toEqual([]);
  });

  it('are named for what they hold', () => {
    const empty = /(^|[/-])(utils?|common|helpers?|types|constants|misc|manager|impl)(-|\.|\/)/i;
    expect(sources.map((source) => source.path).filter((path) => empty.test(path))).toEqual([]);
  });
});
