import { describe, expect, test } from 'vitest';
import { ConfigError, completeConfig } from './config.ts';

describe('completeConfig', () => {
  test('opens no port for administrators unless it is asked for', () => {
    const config = completeConfig({ dataDir: './data', clientPort: 0 });
    expect(config).toMatchObject({ admin: undefined, prometheus: undefined });
  });

  test('fills in the defaults around what is given', () => {
    const config = completeConfig({ dataDir: './data', clientPort: 0, tickTimeMs: 100, maxSessionTimeoutMs: 5000 });
    expect(config).toMatchObject({ dataLogDir: './data', minSessionTimeoutMs: 200, maxSessionTimeoutMs: 5000 });
  });

  test.each([
    { clientPort: -1 },
    { clientPort: 65_536 },
    { tickTimeMs: 0 },
    { tickTimeMs: 1.5 },
    { serverId: 256 },
    { frameBytesMax: 0 },
    { preallocateBytes: -1 },
    { minSessionTimeoutMs: 10, maxSessionTimeoutMs: 9 },
  ])('refuses %j', (wrong) => {
    expect(() => completeConfig({ dataDir: './data', clientPort: 2181, ...wrong })).toThrow(ConfigError);
  });
});
