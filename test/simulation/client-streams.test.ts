/**
 * Watch streams of every kind, run again and again with a fault at each message that their client sends or receives, while another
 * client writes. In the end, when all has been quiet, each stream shows the tree as the server has it; on the way the old of each
 * change is the new of the one before it, and a change without a gap hides nothing that was written.
 */
import { describe, expect, it } from 'vitest';
import { type CuratorFramework, ExponentialBackoffRetry, type Znode, type ZnodeChange } from 'zookeeper-client-ts';
import { watch } from 'zookeeper-client-ts/rx';
import { FAULT_KINDS, type MessageFault } from '../simulator/message-faults.ts';
import { ClientWorld, QUIET_MS, TOLD_WITHIN_MS } from './client-world.fixture.ts';

const ROOT = '/w';
/** Between two writes of the other client. */
const PACE_MS = 150;

/** What the other client writes, in turn. */
const WRITES: readonly ((other: CuratorFramework) => Promise<unknown>)[] = [
  (other) => other.create(ROOT, { data: '0' }),
  (other) => other.create(`${ROOT}/a`),
  (other) => other.create(`${ROOT}/a/x`, { data: 'x' }),
  (other) => other.setData(ROOT, '1'),
  (other) => other.setData(`${ROOT}/a/x`, 'y'),
  (other) => other.create(`${ROOT}/b`),
  (other) => other.delete(`${ROOT}/b`),
  (other) => Promise.all([other.setData(ROOT, '2'), other.setData(ROOT, '3')]),
  (other) => other.delete(`${ROOT}/a`, { children: true }),
  (other) => other.create(`${ROOT}/c`),
  (other) => other.delete(ROOT, { children: true }),
  (other) => other.create(`${ROOT}/c`, { data: 'again', parents: true }),
  (other) => other.setData(ROOT, '4'),
];
/** What that makes of the root's data, write by write. */
const HISTORY = [undefined, '0', '1', '2', '3', undefined, '', '4', 'probe'] as const;

/** What subscribers know, and what they heard that contradicts it. */
class Subscribers {
  readonly problems: string[] = [];
  readonly tree = new Map<string, Znode>();
  data: Znode | undefined;
  exists: boolean | undefined;
  children: readonly string[] = [];
  /** What a loop was told last. */
  looped: Znode | undefined;
  /** Changes that were marked, and that were not. */
  readonly gaps = { true: 0, false: 0 };
  #historyIndex = 0;
  readonly #stop: () => Promise<void>;

  constructor(client: CuratorFramework) {
    const { data$, exists$, children$, tree$ } = watch(client, ROOT);
    const subscriptions = [
      data$.subscribe((change) => {
        this.#check(change.oldNode === this.data, `data$: ${change.kind} from what it was not`);
        this.#checkGap(change);
        this.data = change.node;
      }),
      exists$.subscribe(({ exists }) => {
        this.exists = exists;
      }),
      children$.subscribe(({ children, oldChildren, added, removed }) => {
        this.#check(`${oldChildren}` === `${this.children}`, 'children$: from what they were not');
        const left = oldChildren.filter((name) => !removed.includes(name));
        this.#check(`${[...left, ...added].sort()}` === `${children}`, 'children$: does not add up');
        this.children = children;
      }),
      tree$.subscribe((change) => {
        if (change.kind === 'synced') return;
        const { path, node, oldNode } = change;
        this.#check(oldNode === this.tree.get(path), `tree$: ${change.kind} ${path} from what it was not`);
        if (node === undefined) this.tree.delete(path);
        else this.tree.set(path, node);
      }),
    ];
    const controller = new AbortController();
    const looping = this.#loop(client, controller.signal);
    this.#stop = async () => {
      for (const subscription of subscriptions) subscription.unsubscribe();
      controller.abort();
      await looping;
    };
  }

  stop(): Promise<void> {
    return this.#stop();
  }

  async #loop(client: CuratorFramework, signal: AbortSignal): Promise<void> {
    try {
      for await (const { node } of client.watch(ROOT, { signal })) this.looped = node;
    } catch (error) {
      if (!signal.aborted) this.problems.push(`the loop ended: ${error}`);
    }
  }

  /** What the streams show, in the form of {@link contentsOf}. */
  contents(): unknown {
    const tree = Object.fromEntries([...this.tree].map(([path, node]) => [path, node.text()] as const).sort());
    const { data, exists, children, looped } = this;
    return { tree, data: data?.text(), exists, children, looped: looped?.text() };
  }

  #checkGap({ kind, gap, oldNode, node }: ZnodeChange): void {
    this.gaps[`${gap}`]++;
    if (gap || kind === 'current') return;
    const [old, now] = [oldNode?.text(), node?.text()];
    const at = HISTORY.findIndex((text, i) => i >= this.#historyIndex && text === old && HISTORY[i + 1] === now);
    this.#check(at >= 0, `data$: ${old} → ${now} without a gap`);
    this.#historyIndex = Math.max(at + 1, this.#historyIndex);
  }

  #check(holds: boolean, problem: string): void {
    if (!holds) this.problems.push(problem);
  }
}

/** What the streams should show. */
const contentsOf = (run: ClientWorld): unknown => {
  const tree: Record<string, string> = {};
  const visit = (path: string): void => {
    const text = run.textAt(path);
    if (text !== undefined) tree[path] = text;
    for (const name of run.childrenAt(path)) visit(`${path}/${name}`);
  };
  visit(ROOT);
  const data = run.textAt(ROOT);
  return { tree, data, exists: data !== undefined, children: run.childrenAt(ROOT), looped: data };
};

const follow = async (faults: readonly MessageFault[]) => {
  const run = new ClientWorld({ retry: new ExponentialBackoffRetry(100, 8), faults });
  const { client, other, wire } = run;
  const problems: string[] = [];
  await run.runFor(10);
  await run.performElsewhere(() => other.start().blockUntilConnected());
  const subscribers = await run.perform(() => new Subscribers(client.start()));
  for (const write of WRITES) {
    await run.runFor(PACE_MS);
    await run.performElsewhere(() => write(other));
  }
  await run.runFor(PACE_MS);
  const busy = { ...wire.messages };

  await run.runFor(QUIET_MS);
  const differs = () => JSON.stringify(subscribers.contents()) !== JSON.stringify(contentsOf(run));
  if (differs()) problems.push(`after the quiet: ${JSON.stringify(subscribers.contents())}`);
  await run.performElsewhere(() => other.setData(ROOT, 'probe'));
  await run.runUntil(() => !differs(), TOLD_WITHIN_MS);
  if (differs()) problems.push(`after one more write: ${JSON.stringify(subscribers.contents())}`);
  await run.perform(() => subscribers.stop());
  await run.perform(() => client.close());
  if (run.timers > 0) problems.push(`${run.timers} timers left`);
  problems.push(...subscribers.problems, ...run.violations);
  return { problems, busy, struck: wire.struck.length, gaps: subscribers.gaps, states: run.states };
};

describe('watch streams', () => {
  it('tell everything without a gap while nothing fails', async () => {
    const { problems, busy, gaps } = await follow([]);
    expect(problems).toEqual([]);
    // Only the two writes that were made at once may melt into one.
    expect(gaps.true).toBeLessThanOrEqual(2);
    expect(gaps.false).toBeGreaterThanOrEqual(HISTORY.length - 2);
    expect(busy.request).toBeGreaterThan(25);
    expect(busy.reply).toBeGreaterThan(40);
  });

  it.each(['request', 'reply'] as const)(
    'show the tree in the end, with faults at each %s',
    { timeout: 300_000 },
    async (direction) => {
      const { busy } = await follow([]);
      const problems: string[] = [];
      const states = new Set<string>();
      let gaps = 0;
      for (let message = 1; message <= busy[direction]; message++) {
        // Neighbours meet all kinds between them.
        const kind = FAULT_KINDS[message % FAULT_KINDS.length] ?? 'cut before';
        const report = await follow([{ direction, message, kind }]);
        if (report.struck !== 1) problems.push(`${kind} at ${direction} ${message} did not strike`);
        for (const problem of report.problems) problems.push(`${kind} at ${direction} ${message}: ${problem}`);
        for (const state of report.states) states.add(state);
        gaps += report.gaps.true;
      }
      expect(problems).toEqual([]);
      expect([...states]).toEqual(expect.arrayContaining(['CONNECTED', 'SUSPENDED', 'RECONNECTED']));
      expect(gaps).toBeGreaterThan(busy[direction] / 2);
    },
  );
});
