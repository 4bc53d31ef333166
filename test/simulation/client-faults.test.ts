/**
 * One program with a CuratorFramework, run again and again with a fault at each message that it sends or receives, of each kind.
 *
 * What is checked of every run, beside what `client-world.fixture.ts` checks after every event:
 * - every call settles;
 * - outcomes are true: what was resolved has happened, what was refused has not, of what is unknown either is possible, and a
 *   transaction has happened as a whole or not at all;
 * - a protected create leaves exactly one znode if it resolves, and none if it rejects;
 * - a watch that was left is told of the change, or of the end of its session; a persistent one still works at the end;
 * - `close` settles, and leaves no timer, no connection, and soon no session.
 *
 * The marks count what the runs have met: a program that meets it no more checks nothing, and fails.
 */
import { describe, expect, it } from 'vitest';
import {
  ConnectionLossError,
  EventType,
  ExponentialBackoffRetry,
  KeeperState,
  RetryNTimes,
  type RetryPolicy,
  SessionExpiredError,
  type WatchedEvent,
} from 'zookeeper-client-ts';
import type { SessionId } from 'zookeeper-protocol-ts';
import { type Direction, FAULT_KINDS, type MessageFault } from '../simulator/message-faults.ts';
import { Draws } from '../simulator/random.ts';
import { ClientWorld, FORGOTTEN_MS, QUIET_MS, TOLD_WITHIN_MS } from './client-world.fixture.ts';

type Outcome<T> =
  | { readonly kind: 'resolved'; readonly value: T }
  | { readonly kind: 'refused' | 'unknown'; readonly error: unknown };

/** How often something was met, by its name. */
type Marks = Map<string, number>;

interface Report {
  /** What must not be. */
  readonly problems: readonly string[];
  readonly struck: number;
  /** Sessions on the server when `close` has resolved, that of the other client among them. */
  readonly sessionsAtClose: number;
  /** The messages that are worth a fault: all but the pings of the quiet time. */
  readonly messages: readonly Pick<MessageFault, 'direction' | 'message'>[];
}

const RETRIES = {
  'single-shot': () => new RetryNTimes(0, 0),
  retried: () => new ExponentialBackoffRetry(100, 8),
} satisfies Record<string, () => RetryPolicy>;

const outcomeOf = async <T>(call: () => Promise<T>): Promise<Outcome<T>> => {
  try {
    return { kind: 'resolved', value: await call() };
  } catch (error) {
    const isUnknown = error instanceof ConnectionLossError || error instanceof SessionExpiredError;
    return { kind: isUnknown ? 'unknown' : 'refused', error };
  }
};

/** A watcher's ears. */
class Listener {
  readonly events: WatchedEvent[] = [];
  readonly hear = (event: WatchedEvent): void => {
    this.events.push(event);
  };

  get heardEnd(): boolean {
    return this.events.some(({ type, state }) => type === EventType.None && state === KeeperState.Expired);
  }

  count(type: EventType): number {
    return this.events.filter((event) => event.type === type).length;
  }
}

/** What the program does, from its start to its last call. */
const work = async (run: ClientWorld) => {
  const { client, other } = run;
  const call = <T>(code: () => Promise<T>): Promise<Outcome<T>> => run.perform(() => outcomeOf(code));
  await run.runFor(10);
  await run.performElsewhere(async () => {
    other.start();
    await other.blockUntilConnected();
    for (const path of ['/protected', '/set', '/watched', '/tree', '/gone']) await other.create(path);
  });
  await run.perform(() => client.start().blockUntilConnected());

  const plain = await call(() => client.create('/plain'));
  const mine = await call(async () => {
    const builder = client.create().withProtection().withMode('EPHEMERAL_SEQUENTIAL').storingStat();
    const created = await builder.forPath('/protected/mine-');
    return { ...created, isOfThisSession: created.stat.ephemeralOwner === client.sessionId };
  });
  // Their requests leave together.
  const [lasting, multi, set] = await run.perform(() =>
    Promise.all([
      outcomeOf(() => client.create('/protected/lasting-', { protect: true, mode: 'PERSISTENT_SEQUENTIAL' })),
      outcomeOf(() => client.transaction([client.op.create('/multi-a'), client.op.create('/multi-b')])),
      outcomeOf(() => client.setData('/set', 'mine', { version: 0 })),
    ]),
  );
  const watcher = new Listener();
  const watched = await call(() => client.getData('/watched', { watcher: watcher.hear }));
  const treeWatcher = new Listener();
  const treeWatched = await call(() => client.addWatch('/tree', treeWatcher.hear, { recursive: true }));
  const treeWatchedIn = client.sessionId;
  await run.performElsewhere(() => other.setData('/watched', 'changed'));
  await run.runFor(2500); // with pings
  const [gone, names, ephemeral] = await run.perform(() =>
    Promise.all([
      outcomeOf(() => client.delete('/gone')),
      outcomeOf(() => client.getChildren('/')),
      outcomeOf(() => client.create().withMode('EPHEMERAL').storingStat().forPath('/ephemeral')),
    ]),
  );
  return {
    ...{ plain, mine, lasting, multi, set, gone, names, ephemeral },
    ...{ watcher, watched, treeWatcher, treeWatched, treeWatchedIn },
  };
};
type Work = Awaited<ReturnType<typeof work>>;

/** One run of the program, and what is found of it. */
class Program {
  readonly #problems: string[] = [];
  readonly #run: ClientWorld;
  readonly #marks: Marks;
  /** Calls are tried again: a refusal may be that of a second attempt, which met the first. */
  readonly #isRetried: boolean;

  constructor(run: ClientWorld, { marks, isRetried }: { marks: Marks; isRetried: boolean }) {
    this.#run = run;
    this.#marks = marks;
    this.#isRetried = isRetried;
  }

  async run(): Promise<Report> {
    const { wire, violations } = this.#run;
    const done = await work(this.#run);
    const busy = { ...wire.messages };
    await this.#run.runFor(QUIET_MS);
    this.#checkOutcomes(done);
    this.#checkWatch(done);
    await this.#checkTreeWatch(done);
    this.#checkConnection();
    const quiet = { ...wire.messages };
    const sessionsAtClose = await this.#close();
    return {
      problems: [...this.#problems, ...violations],
      struck: wire.struck.length,
      sessionsAtClose,
      messages: (['request', 'reply'] as const).flatMap((direction) => [
        ...range(direction, 1, busy[direction]),
        ...range(direction, quiet[direction] + 1, wire.messages[direction]),
      ]),
    };
  }

  #checkOutcomes({ plain, set, gone, multi, names, ephemeral, mine, lasting }: Work): void {
    const run = this.#run;
    this.#checkDone('create', plain, run.textAt('/plain') !== undefined);
    this.#checkDone('setData', set, run.textAt('/set') === 'mine');
    this.#checkDone('delete', gone, run.textAt('/gone') === undefined);
    const parts = ['/multi-a', '/multi-b'].filter((path) => run.textAt(path) !== undefined);
    this.#check(parts.length !== 1, 'half a transaction');
    this.#checkDone('multi', multi, parts.length === 2);
    this.#check(names.kind !== 'refused', 'getChildren was refused');
    if (ephemeral.kind === 'resolved') {
      this.#checkDone('ephemeral', ephemeral, run.textAt('/ephemeral') !== undefined || !this.#lives(ephemeral.value));
    }
    if (mine.kind === 'resolved') {
      this.#check(mine.value.isOfThisSession, 'a protected create resolved to the znode of a session that is over');
    }
    const isMine = mine.kind === 'resolved' && this.#lives(mine.value);
    this.#checkProtected('mine', isMine ? mine.value.path : undefined, mine);
    this.#checkProtected('lasting', lasting.kind === 'resolved' ? lasting.value : undefined, lasting);
  }

  #checkConnection(): void {
    const { client, states } = this.#run;
    this.#check(client.connected, `the client is ${client.state} when all is well`);
    for (const state of new Set(states)) this.#mark(state);
    if (states.includes('RECONNECTED') && !states.includes('LOST'))
      this.#mark('the same session on another connection');
  }

  /** @returns how many sessions the server has when the client has closed its own */
  async #close(): Promise<number> {
    const run = this.#run;
    const { client, other, server, wire } = run;
    const closed = await run.perform(() => outcomeOf(() => client.close()));
    this.#check(closed.kind === 'resolved', 'close rejected');
    const sessionsAtClose = server.database.sessions.size;
    await run.runFor(FORGOTTEN_MS);
    this.#check(run.timers === 0, `${run.timers} timers left`);
    this.#check(wire.openConnections === 0, `${wire.openConnections} connections left`);
    const sessions = [...server.database.sessions.keys()];
    this.#check(sessions.length === 1 && sessions[0] === other.sessionId, 'a session left on the server');
    this.#check(server.database.tree.ephemeralCount === 0, 'an ephemeral znode left on the server');
    return sessionsAtClose;
  }

  #mark(name: string): void {
    this.#marks.set(name, (this.#marks.get(name) ?? 0) + 1);
  }

  #check(holds: boolean, problem: string): void {
    if (!holds) this.#problems.push(problem);
  }

  #lives({ stat }: { readonly stat: { readonly ephemeralOwner: SessionId } }): boolean {
    return this.#run.hasSession(stat.ephemeralOwner);
  }

  #checkDone(what: string, outcome: Outcome<unknown>, isDone: boolean): void {
    switch (outcome.kind) {
      case 'resolved':
        return this.#check(isDone, `${what} was resolved, and has not happened`);
      case 'refused':
        if (isDone) this.#mark('refused to the second attempt, done by the first');
        return this.#check(isDone && this.#isRetried, `${what} was refused (${outcome.error}); it is done: ${isDone}`);
      case 'unknown':
        return this.#mark(isDone ? 'unknown, and done' : 'unknown, and not done');
    }
  }

  /** @param path of the znode that there must be, alone */
  #checkProtected(name: string, path: string | undefined, outcome: Outcome<unknown>): void {
    const found = this.#run.childrenAt('/protected').filter((child) => child.includes(`-${name}-`));
    const expected = path === undefined ? [] : [path.slice('/protected/'.length)];
    this.#check(found.join() === expected.join(), `protected ${name} (${outcome.kind}) left ${found}, not ${expected}`);
    this.#check(outcome.kind !== 'refused', `protected ${name} was refused`);
    if (outcome.kind === 'unknown') this.#mark('a protected create that failed left nothing');
    if (outcome.kind === 'resolved' && this.#run.states.length > 1)
      this.#mark('a protected create in a run with an outage');
  }

  #checkWatch({ watcher, watched: left }: Work): void {
    const told = watcher.count(EventType.NodeDataChanged);
    this.#check(told <= 1, `a one-shot watch was told ${told} times`);
    if (left.kind !== 'resolved') return;
    this.#check(told === 1 || watcher.heardEnd, 'a one-shot watch was lost silently');
    if (told === 0) this.#mark('a watch told of the end of its session');
    else if (this.#run.states.length > 1) this.#mark('a watch told of a change in a run with an outage');
  }

  async #checkTreeWatch({ treeWatcher: watcher, treeWatched: left, treeWatchedIn: leftIn }: Work): Promise<void> {
    const { client, other } = this.#run;
    await this.#run.performElsewhere(() => other.create('/tree/probe'));
    await this.#run.runUntil(() => watcher.count(EventType.NodeCreated) > 0, TOLD_WITHIN_MS);
    if (left.kind !== 'resolved') return;
    const isSameSession = client.sessionId === leftIn;
    this.#check(isSameSession || watcher.heardEnd, 'a persistent watch was not told of the end of its session');
    const told = watcher.count(EventType.NodeCreated);
    if (isSameSession) this.#check(told === 1, `a persistent watch was told ${told} times`);
  }
}

const range = (direction: Direction, first: number, last: number): Pick<MessageFault, 'direction' | 'message'>[] =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => ({ direction, message: first + i }));

const runProgram = (mode: keyof typeof RETRIES, faults: readonly MessageFault[], marks: Marks): Promise<Report> => {
  const run = new ClientWorld({ retry: RETRIES[mode](), faults });
  return new Program(run, { marks, isRetried: mode === 'retried' }).run();
};

const draws = new Draws(1, 'second faults');
const drawn = <T>(all: readonly T[], key: number, counter: number): T =>
  all[draws.between([0, all.length - 1], key, counter)] as T; // the index is within

const describeFaults = (faults: readonly MessageFault[]): string =>
  faults
    .map(({ direction, message, connection, kind }) => {
      return `${kind} at ${direction} ${message}${connection === undefined ? '' : ` of connection ${connection}`}`;
    })
    .join(', ');

/** What runs with faults must have met. */
const MET = {
  always: [
    'CONNECTED',
    'LOST',
    'RECONNECTED',
    'SUSPENDED',
    'a protected create in a run with an outage',
    'a watch told of a change in a run with an outage',
    'a watch told of the end of its session',
    'the same session on another connection',
  ],
  'single-shot': ['a protected create that failed left nothing', 'unknown, and done', 'unknown, and not done'],
  retried: ['refused to the second attempt, done by the first'],
} as const;

describe.each(['single-shot', 'retried'] as const)('a client whose calls are %s', (mode) => {
  it('has no problem without a fault', async () => {
    const { problems, struck, messages, sessionsAtClose } = await runProgram(mode, [], new Map());
    expect(problems).toEqual([]);
    expect(struck).toBe(0);
    expect(sessionsAtClose).toBe(1);
    expect(messages.length).toBeGreaterThan(25);
  });

  it('keeps its promises with a fault of each kind at each of its messages', { timeout: 300_000 }, async () => {
    const { messages } = await runProgram(mode, [], new Map());
    const marks: Marks = new Map();
    const problems: string[] = [];
    for (const message of messages) {
      for (const kind of FAULT_KINDS) {
        const faults = [{ ...message, kind }];
        const report = await runProgram(mode, faults, marks);
        for (const problem of report.problems) problems.push(`${describeFaults(faults)}: ${problem}`);
        if (report.struck !== 1) problems.push(`${describeFaults(faults)} did not strike`);
      }
    }
    expect(problems).toEqual([]);
    expect([...marks.keys()]).toEqual(expect.arrayContaining([...MET.always, ...MET[mode]]));
  });

  it('keeps its promises when the session ends over each of its messages', { timeout: 300_000 }, async () => {
    const { messages } = await runProgram(mode, [], new Map());
    const marks: Marks = new Map();
    const problems: string[] = [];
    for (const message of messages) {
      // The way falls silent, and the next connection is of no use either. The server may not have noticed yet when the client is back.
      const silence = { direction: 'request', message: 1, connection: 2, kind: 'half-open' } as const;
      const faults: MessageFault[] = [{ ...message, kind: 'half-open' }, silence];
      const report = await runProgram(mode, faults, marks);
      for (const problem of report.problems) problems.push(`${describeFaults(faults)}: ${problem}`);
    }
    expect(problems).toEqual([]);
    expect(marks.get('LOST')).toBeGreaterThan(messages.length / 2);
  });

  it('says LOST in time when answers are slow and then nothing arrives any more', { timeout: 300_000 }, async () => {
    const { messages } = await runProgram(mode, [], new Map());
    const marks: Marks = new Map();
    const problems: string[] = [];
    // The last one is that of close.
    for (const { message } of messages.filter(({ direction }) => direction === 'request').slice(0, -1)) {
      // The client hears until late, of what the server has heard much earlier.
      const faults: MessageFault[] = [
        { direction: 'reply', message, kind: 'slow' },
        { direction: 'request', message: message + 1, kind: 'one way' },
      ];
      const report = await runProgram(mode, faults, marks);
      for (const problem of report.problems) problems.push(`${describeFaults(faults)}: ${problem}`);
    }
    expect(problems).toEqual([]);
    expect(marks.get('LOST')).toBeGreaterThan(0);
  });

  it('keeps its promises when a second fault strikes soon after the first', { timeout: 300_000 }, async () => {
    const { messages } = await runProgram(mode, [], new Map());
    const problems: string[] = [];
    let struckTwice = 0;
    for (const [i, first] of messages.entries()) {
      for (let round = 0; round < 3; round++) {
        const faults = [
          { ...first, kind: drawn(FAULT_KINDS, i, 4 * round) },
          {
            direction: drawn(['request', 'reply'] as const, i, 4 * round + 1),
            message: first.message + 1 + draws.between([0, 5], i, 4 * round + 2),
            kind: drawn(FAULT_KINDS, i, 4 * round + 3),
          },
        ];
        const report = await runProgram(mode, faults, new Map());
        for (const problem of report.problems) problems.push(`${describeFaults(faults)}: ${problem}`);
        if (report.struck === 2) struckTwice++;
      }
    }
    expect(problems).toEqual([]);
    // Not all: the first may hide the second, which then has no message of its number to strike, or no whole connection.
    expect(struckTwice).toBeGreaterThan(messages.length);
  });
});
