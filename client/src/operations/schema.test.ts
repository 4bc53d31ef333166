/** That every operation asks the schemas, with the user's path, before anything is sent. */
import { afterEach, describe, expect, it } from 'vitest';
import { OPEN_ACL } from 'zookeeper-protocol-ts';
import { CuratorFramework } from '../framework.ts';
import { RetryNTimes } from '../retry.ts';
import { watch } from '../rx.ts';
import { SchemaSet, SchemaViolationError, type SchemaWrite } from '../schema/schema-set.ts';
import { FakeServer } from './fake-server.fixture.ts';

const opened: CuratorFramework[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((client) => client.close()));
});

const isText = ({ data }: SchemaWrite): boolean => data === undefined || data.toString() === 'text';

const schemaSet = new SchemaSet([
  { name: 'closed', path: '/closed', validate: () => false, watched: 'cannot', canBeDeleted: false },
  { name: 'member', path: /\/members\/.*/, ephemeral: 'must', sequential: 'cannot' },
  { name: 'watched', path: '/watched', watched: 'must' },
  { name: 'text', path: '/text', validate: isText },
]);

async function started() {
  const server = new FakeServer();
  const client = CuratorFramework.builder()
    .connectString(server.connectString)
    .retryPolicy(new RetryNTimes(0, 0))
    .namespace('app')
    .schemaSet(schemaSet)
    .ports(server.ports)
    .build();
  opened.push(client);
  client.start();
  await server.clock.settle();
  return { server, client };
}

const watcher = () => undefined;

describe('a client with schemas refuses, before anything is sent,', () => {
  it.each<[string, string, (client: CuratorFramework) => Promise<unknown>]>([
    ['create', '/closed', (client) => client.create('/closed')],
    ['create by the builder', '/closed', (client) => client.create().forPath('/closed', 'x')],
    ['create in another mode', '/members/a', (client) => client.create('/members/a', { parents: true })],
    ['a sequential create', '/members/a', (client) => client.create('/members/a', { mode: 'EPHEMERAL_SEQUENTIAL' })],
    ['create of other data', '/text', (client) => client.create('/text', { data: 'other' })],
    ['a protected create', '/closed', (client) => client.create('/closed', { protect: true })],
    ['delete', '/closed', (client) => client.delete('/closed')],
    ['setData', '/closed', (client) => client.setData('/closed', 'x')],
    ['setACL', '/closed', (client) => client.setACL('/closed', OPEN_ACL)],
    ['getData with a watcher', '/closed', (client) => client.getData('/closed', { watcher })],
    ['getChildren, watched', '/closed', (client) => client.getChildren('/closed', { watched: true })],
    ['checkExists, watched', '/closed', (client) => client.checkExists().watched().forPath('/closed')],
    ['addWatch', '/closed', (client) => client.addWatch('/closed', watcher)],
    ['getData without a watcher', '/watched', (client) => client.getData('/watched')],
    ['getChildren without a watcher', '/watched', (client) => client.getChildren('/watched')],
    ['checkExists without a watcher', '/watched', (client) => client.checkExists('/watched')],
    ['create in a transaction', '/closed', (client) => client.transaction([client.op.create('/closed')])],
    ['setData in a transaction', '/text', (client) => client.transaction([client.op.setData('/text', 'other')])],
    ['delete in a transaction', '/closed', (client) => client.transaction([client.op.delete('/closed')])],
  ])('%s', async (_, path, call) => {
    const { server, client } = await started();
    const failure = call(client).catch((error: unknown) => error);
    await server.clock.settle();
    const error = await failure;
    expect(error).toBeInstanceOf(SchemaViolationError);
    expect(error).toMatchObject({ path });
    expect(server.received).toEqual([]);
  });

  it('a watch stream of what must not be watched', async () => {
    const { client } = await started();
    expect(() => client.watch('/closed')).toThrow(SchemaViolationError);
    expect(() => watch(client, '/closed')).toThrow(SchemaViolationError);
  });
});

describe('a client with schemas', () => {
  it('does what they allow, in its namespace', async () => {
    const { server, client } = await started();
    const done = (async () => {
      await client.create('/members', { containers: true });
      await client.create('/members/a', { mode: 'EPHEMERAL' });
      await client.create('/text', { data: 'text' });
      await client.setData('/text', 'text');
      await client.getData('/text', { watcher });
      await client.delete('/text');
    })();
    await server.clock.settle();
    await done;
    expect(server.paths).toEqual(['/app', '/app/members', '/app/members/a']);
  });

  it('shows validators the data before they are compressed', async () => {
    const { server, client } = await started();
    const created = client.create('/text', { data: 'text', compressed: true });
    await expect
      .poll(async () => {
        await server.clock.settle();
        return server.paths;
      })
      .toContain('/app/text');
    await created;
    expect(server.dataOf('/app/text')).not.toBe('text');
  });
});
