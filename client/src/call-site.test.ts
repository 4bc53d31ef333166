import { afterEach, describe, expect, it } from 'vitest';
import { ConnectionLossError, NoNodeError, type ZooKeeperError } from './errors.ts';
import { CuratorFramework } from './framework.ts';
import { FakeServer } from './operations/fake-server.fixture.ts';
import { RetryNTimes } from './retry.ts';

const opened: CuratorFramework[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((client) => client.close()));
});

async function started() {
  const server = new FakeServer();
  const client = CuratorFramework.builder()
    .connectString(server.connectString)
    .retryPolicy(new RetryNTimes(1, 100))
    .ports(server.ports)
    .build();
  opened.push(client);
  client.start();
  await server.clock.settle();
  return { server, client };
}

/** What a function of the user's, called by the name that is looked for, fails with. */
async function failureOf(server: FakeServer, readTheConfiguration: () => Promise<unknown>): Promise<ZooKeeperError> {
  const failure = readTheConfiguration().then(
    () => undefined,
    (error: unknown) => error as ZooKeeperError,
  );
  await server.clock.advance(30_000);
  const error = await failure;
  if (error === undefined) throw new Error('it did not fail');
  return error;
}

describe('the stack of an error', () => {
  it('names who called the framework', async () => {
    const { server, client } = await started();
    const error = await failureOf(server, async function readTheConfiguration() {
      await client.getData().forPath('/x');
    });
    expect(error).toBeInstanceOf(NoNodeError);
    expect(error.stack).toMatch(/^NoNodeError: no such znode: \/x\n/);
    expect(error.stack).toMatch(/readTheConfiguration.*call-site\.test\.ts:\d+/);
    // Not how the client came to read its answer.
    expect(error.stack).not.toContain('session.ts');
  });

  it('names who called the framework in the options style', async () => {
    const { server, client } = await started();
    const error = await failureOf(server, async function readTheConfiguration() {
      await Promise.all([client.getChildren('/x')]);
    });
    expect(error.stack).toMatch(/readTheConfiguration.*call-site\.test\.ts:\d+/);
  });

  it('names who called a session', async () => {
    const { server, client } = await started();
    const error = await failureOf(server, async function readTheConfiguration() {
      await client.zookeeper.getData('/x');
    });
    expect(error).toBeInstanceOf(NoNodeError);
    expect(error.stack).toMatch(/^NoNodeError: no such znode: \/x\n.*readTheConfiguration.*call-site\.test\.ts:\d+/);
  });

  it('names the caller and the attempt of a retry loop, each once', async () => {
    const { server, client } = await started();
    const error = await failureOf(server, async function readTheConfiguration() {
      await client.retry(async function theAttempt(zk) {
        await zk.getData('/x');
      });
    });
    expect(error.stack?.match(/theAttempt.*call-site\.test\.ts/g)).toHaveLength(1);
    expect(error.stack?.match(/readTheConfiguration.*call-site\.test\.ts/g)).toHaveLength(1);
  });

  it('keeps where an argument was refused', async () => {
    const { server, client } = await started();
    const error = await failureOf(server, async function readTheConfiguration() {
      await client.retry(async function theAttempt(zk) {
        await zk.getData('not a path');
      });
    });
    expect(error.stack).toMatch(/zookeeper-arguments\.ts[\s\S]*theAttempt[\s\S]*readTheConfiguration/);
  });

  it('names the caller when all retries have failed', async () => {
    const { server, client } = await started();
    server.stop();
    const error = await failureOf(server, async function readTheConfiguration() {
      await client.getData('/x');
    });
    expect(error).toBeInstanceOf(ConnectionLossError);
    expect(error.stack).toMatch(/readTheConfiguration.*call-site\.test\.ts:\d+/);
  });

  it("is left alone where it is the caller's own error", async () => {
    const { server, client } = await started();
    const controller = new AbortController();
    server.fate = ({ operation }) => (operation === 'getData' ? 'ignore' : undefined);
    const reason = new Error('enough');
    const { stack } = reason;
    const error = failureOf(server, () => client.getData('/x', { signal: controller.signal }));
    controller.abort(reason);
    expect(await error).toBe(reason);
    expect(reason.stack).toBe(stack);
  });
});
