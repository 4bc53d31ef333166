import { describe, expect, it } from 'vitest';
import {
  ConnectionLossError,
  type CuratorFramework,
  type MultiResult,
  NoNodeError,
  type TransactionOp,
} from 'zookeeper-client-ts';
import { JointTransactions } from './joint-transactions.ts';

/** Deletes what there is, and keeps count of the requests. */
class Deleter {
  readonly clock = { soon: (run: () => void) => queueMicrotask(run) };
  readonly requests: string[][] = [];
  readonly there: Set<string>;
  isLost = false;

  constructor(...paths: readonly string[]) {
    this.there = new Set(paths);
  }

  get framework(): CuratorFramework {
    // Nothing else of it is used.
    return this as unknown as CuratorFramework;
  }

  async transaction(ops: readonly TransactionOp[]): Promise<MultiResult[]> {
    const paths = ops.map(({ path }) => path);
    this.requests.push(paths);
    if (this.isLost) throw new ConnectionLossError('lost');
    const missing = paths.findIndex((path) => !this.there.has(path));
    if (missing >= 0) {
      const operationCodes = paths.map((_path, index) => (index === missing ? 'NO_NODE' : 'OK'));
      throw new NoNodeError(`no such znode: ${paths[missing]}`, { path: paths[missing], operationCodes });
    }
    for (const path of paths) this.there.delete(path);
    return ops.map(() => ({ kind: 'delete' as const }));
  }
}

const deleteAll = (joint: JointTransactions, ...paths: readonly string[]) =>
  Promise.allSettled(paths.map((path) => joint.transaction([{ kind: 'delete', path }])));
const statuses = (settled: readonly PromiseSettledResult<void>[]) => settled.map(({ status }) => status);

describe('transactions of one turn', () => {
  it('are sent as one', async () => {
    const client = new Deleter('/a', '/b', '/c');
    const joint = new JointTransactions(client.framework);
    expect(statuses(await deleteAll(joint, '/a', '/b'))).toEqual(['fulfilled', 'fulfilled']);
    await deleteAll(joint, '/c');
    expect(client.requests).toEqual([['/a', '/b'], ['/c']]);
  });

  it('are sent alone if the joint one is refused, and fewer together from then on, as long as that happens', async () => {
    const client = new Deleter('/a', '/c', '/d', '/e', '/f', '/g', '/h');
    const joint = new JointTransactions(client.framework);
    const settled = await deleteAll(joint, '/a', '/b', '/c', '/d');
    expect(statuses(settled)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect(settled[1]).toMatchObject({ reason: { path: '/b', operationCodes: ['NO_NODE'] } });
    expect(client.requests.splice(0)).toEqual([['/a', '/b', '/c', '/d'], ['/a'], ['/b'], ['/c'], ['/d']]);
    await deleteAll(joint, '/e');
    await deleteAll(joint, '/f', '/g', '/h');
    expect(client.requests).toEqual([['/e'], ['/f', '/g'], ['/h']]);
  });

  it('are not sent again if the outcome is unknown', async () => {
    const client = new Deleter('/a', '/b');
    client.isLost = true;
    const settled = await deleteAll(new JointTransactions(client.framework), '/a', '/b');
    expect(settled).toEqual([
      { status: 'rejected', reason: expect.any(ConnectionLossError) },
      { status: 'rejected', reason: expect.any(ConnectionLossError) },
    ]);
    expect(client.requests).toHaveLength(1);
  });

  it('tell when they have been sent, before there is an answer', async () => {
    const client = new Deleter('/a');
    const order: string[] = [];
    const sent = new JointTransactions(client.framework).transaction([{ kind: 'delete', path: '/a' }], () => {
      order.push(`sent after ${client.requests.length}`);
    });
    await sent.then(() => order.push('answered'));
    expect(order).toEqual(['sent after 1', 'answered']);
  });
});
