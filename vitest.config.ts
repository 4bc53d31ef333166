import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Tests run the sources, not `dist`: package names resolve to their public doors in `src`. */
const alias = {
  'zookeeper-protocol-ts': source('./protocol/src/index.ts'),
  'zookeeper-client-ts/rx': source('./client/src/rx.ts'),
  'zookeeper-client-ts': source('./client/src/index.ts'),
  'zookeeper-recipes-ts/rx': source('./recipes/src/rx.ts'),
  'zookeeper-recipes-ts': source('./recipes/src/index.ts'),
  'zookeeper-server-ts/testing': source('./server/src/testing/testing-server.ts'),
  'zookeeper-server-ts': source('./server/src/index.ts'),
};

const project = (name: string, include: string[], test: object = {}) => ({
  resolve: { alias },
  // A poll waits for something to come true: only the test's own time is a bound for that, on any machine.
  test: { name, include, testTimeout: 20_000, hookTimeout: 60_000, expect: { poll: { timeout: 15_000 } }, ...test },
});

export default defineConfig({
  test: {
    // Most of what the slow ones do is waiting: two cores have room for three of them.
    maxWorkers: 3,
    projects: [
      // Nothing is shared between these files but modules without state, which need not be loaded four hundred times.
      project(
        'unit',
        [
          '{protocol,client,recipes,server}/src/**/*.test.ts',
          'test/*.test.ts',
          'test/{conformance,simulator}/**/*.test.ts',
        ],
        { isolate: false },
      ),
      project('property', ['test/property/**/*.test.ts']),
      project('simulation', ['test/simulation/**/*.test.ts']),
      project('integration', ['test/integration/**/*.test.ts']),
      project('interop', ['test/interop/**/*.test.ts'], { testTimeout: 120_000, fileParallelism: false }),
    ],
  },
});
