/** Attempts after a lost answer, and calls that make do with what is there. */
import { describe, expect, it } from 'vitest';
import { BadVersionError, NodeExistsError } from '../errors.ts';
import { CuratorFramework } from '../framework.ts';
import { RetryNTimes } from '../retry.ts';
import { FakeServer, type Fate } from './fake-server.fixture.ts';

async function started(...paths: string[]) {
  const server = new FakeServer();
  for (const path of paths) server.make(path);
  const client = CuratorFramework.builder()
    .connectString(server.connectString)
    .retryPolicy(new RetryNTimes(2, 100))
    .ports(server.ports)
    .build()
    .start();
  await server.clock.settle();
  return { server, client };
}

async function settled<T>(server: FakeServer, promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  await server.clock.advance(10_000);
  return promise;
}

/** The first such request meets its fate. */
function once(server: FakeServer, operation: string, fate: Fate): void {
  server.fate = (request) => {
    if (request.operation !== operation) return undefined;
    server.fate = () => undefined;
    return fate;
  };
}

describe.each(['lose request', 'lose reply'] as const)('when a write meets "%s"', (fate) => {
  it('an idempotent setData with a version is applied once', async () => {
    const { server, client } = await started('/a');
    once(server, 'setData', fate);
    const stat = await settled(server, client.setData().withVersion(0).idempotent().forPath('/a', 'x'));
    expect(stat).toMatchObject({ version: 1 });
    expect(server.dataOf('/a')).toBe('x');
  });

  it('an idempotent create is applied once', async () => {
    const { server, client } = await started();
    once(server, 'create2', fate);
    expect(await settled(server, client.create('/a', { data: 'x', mode: 'EPHEMERAL', idempotent: true }))).toBe('/a');
    expect(server.ownerOf('/a')).toBe(client.sessionId);
  });

  it('a create with orSetData ends with the data', async () => {
    const { server, client } = await started();
    once(server, 'create2', fate);
    expect(await settled(server, client.create('/a', { data: 'x', orSetData: true }))).toBe('/a');
    expect(server.dataOf('/a')).toBe('x');
  });
});

describe('idempotent', () => {
  it('does not take somebody else’s data for its own', async () => {
    const { server, client } = await started('/a');
    server.write('/a', 'other');
    const refused = client.setData('/a', 'x', { version: 0, idempotent: true });
    await expect(settled(server, refused)).rejects.toBeInstanceOf(BadVersionError);
    await expect(settled(server, client.create('/a', { data: 'other', idempotent: true }))).rejects.toBeInstanceOf(
      NodeExistsError,
    );
  });

  it('does not take an ephemeral znode of another session for its own', async () => {
    const { server, client } = await started('/a');
    const create = client.create('/a', { data: '', mode: 'EPHEMERAL', idempotent: true });
    await expect(settled(server, create)).rejects.toBeInstanceOf(NodeExistsError);
  });
});

describe('orSetData', () => {
  it('creates after all when the znode vanishes in between', async () => {
    const { server, client } = await started('/a');
    server.fate = ({ operation }) => {
      if (operation === 'setData') server.remove('/a');
      return undefined;
    };
    expect(await settled(server, client.create('/a', { data: 'x', orSetData: true }))).toBe('/a');
    expect(server.received).toEqual(['create2 /a', 'setData /a', 'create2 /a']);
  });

  it('is tried also when somebody else was faster behind the parents (CURATOR-719)', async () => {
    const { server, client } = await started();
    server.fate = ({ operation, path }) => {
      if (operation === 'create2' && path === '/p/a' && server.paths.includes('/p')) server.make('/p/a');
      return undefined;
    };
    expect(await settled(server, client.create('/p/a', { data: 'x', parents: true, orSetData: true }))).toBe('/p/a');
    expect(server.dataOf('/p/a')).toBe('x');
  });
});
