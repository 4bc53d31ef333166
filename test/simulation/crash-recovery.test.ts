/**
 * A server loses power, or is killed, over and over: while it writes its log, in the middle of a snapshot, of a purge, of the
 * recovery from the crash before. After each one it must come back by itself, with every write that it had acknowledged, in
 * order, and nothing else: its tree is the model's after so many of the writes that the client had sent.
 *
 * CRASH_ROUNDS=5000 runs more seeds, CRASH_SEED=17 starts at another one. A failure names its seed.
 */
import { describe, expect, it } from 'vitest';
import {
  CreateMode,
  connectRequest,
  connectResponse,
  FrameReader,
  JuteReader,
  JuteWriter,
  NO_SESSION,
  OPEN_ACL,
  type Operation,
  operations,
  replyHeader,
  ZERO_ZXID,
} from 'zookeeper-protocol-ts';
import type { Server } from 'zookeeper-server-ts';
import type { Process } from '../simulator/process.ts';
import { Draws } from '../simulator/random.ts';
import { startServer } from '../simulator/start-server.ts';
import { World } from '../simulator/world.ts';

const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 300);
const FIRST_SEED = Number(process.env.CRASH_SEED ?? 1);
const CRASHES = 4;
const PATHS = 12;
/** Requests under way at a time. */
const WINDOW_MAX = 20;

type Write =
  | { readonly kind: 'create' | 'set'; readonly path: string; readonly data: Buffer }
  | { readonly kind: 'delete'; readonly path: string };

/** Path → data, in hex. */
type Contents = ReadonlyMap<string, string>;

/** What the tree is after each of the writes. */
class Model {
  /** After so many writes. */
  states: Contents[] = [new Map()];
  /** How many the server has said are done. */
  acknowledged = 0;

  get sent(): number {
    return this.states.length - 1;
  }

  get last(): Contents {
    return this.states[this.sent] ?? new Map();
  }

  push(write: Write): void {
    const next = new Map(this.last);
    if (write.kind === 'delete') next.delete(write.path);
    else next.set(write.path, write.data.toString('hex'));
    this.states.push(next);
  }

  /** The server came back with this tree: goes on from there. @returns how many writes that is, or undefined if it is none */
  settle(found: Contents): number | undefined {
    for (let count = this.sent; count >= this.acknowledged; count--) {
      const state = this.states[count];
      if (state === undefined || !equal(state, found)) continue;
      this.states = [state];
      this.acknowledged = 0;
      return count;
    }
    return undefined;
  }
}

const equal = (a: Contents, b: Contents): boolean =>
  a.size === b.size && [...a].every(([path, data]) => b.get(path) === data);

function contentsOf({ database: { tree } }: Server): Contents {
  const contents = new Map<string, string>();
  for (const node of tree.znodes()) {
    const path = tree.pathOf(node);
    if (path.startsWith('/n')) contents.set(path, Buffer.from(tree.data(node) ?? []).toString('hex'));
  }
  return contents;
}

/** Sends one write after the other, and counts the answers. */
class Writer {
  isConnected = false;
  isClosed = false;
  readonly #model: Model;
  readonly #draws: Draws;
  readonly #frames = new FrameReader({ frameBytesMax: 1024 * 1024 });
  readonly #write: (bytes: Uint8Array) => void;
  readonly #window: number;
  #xid = 0;
  #draw: number;

  constructor(client: Process, model: Model, draws: Draws, crash: number) {
    this.#model = model;
    this.#draws = draws;
    this.#draw = crash * 100_000;
    this.#window = this.#draws.between([1, WINDOW_MAX], ++this.#draw);
    const connection = client.network.connect(
      { host: 's1', port: 2181 },
      {
        onOpen: () => this.#open(),
        onBytes: (bytes) => this.#onBytes(bytes),
        onClose: () => {
          this.isClosed = true;
        },
      },
    );
    this.#write = (bytes) => connection.write(bytes);
  }

  #open(): void {
    const writer = new JuteWriter();
    const frame = writer.startFrame();
    const password = Buffer.alloc(16);
    const request = { protocolVersion: 0, lastZxidSeen: ZERO_ZXID, timeoutMs: 10_000, readOnly: false };
    connectRequest.write(writer, { ...request, sessionId: NO_SESSION, password });
    writer.endFrame(frame);
    this.#write(writer.take());
  }

  #onBytes(bytes: Uint8Array): void {
    this.#frames.push(bytes);
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      const reader = new JuteReader(frame);
      if (!this.isConnected) {
        connectResponse.read(reader);
        this.isConnected = true;
      } else {
        const { err } = replyHeader.read(reader);
        if (err !== 0) throw new Error(`write ${this.#model.acknowledged + 1} was refused with ${err}`);
        this.#model.acknowledged++;
      }
    }
    while (this.#model.sent - this.#model.acknowledged < this.#window) this.#sendOne();
  }

  #sendOne(): void {
    const write = this.#choose();
    this.#model.push(write);
    const { path } = write;
    switch (write.kind) {
      case 'create':
        return this.#send(operations.create, { path, data: write.data, acl: OPEN_ACL, flags: CreateMode.PERSISTENT });
      case 'set':
        return this.#send(operations.setData, { path, data: write.data, version: -1 });
      case 'delete':
        return this.#send(operations.delete, { path, version: -1 });
    }
  }

  /** One that succeeds after those before it. */
  #choose(): Write {
    const path = `/n${this.#draws.between([0, PATHS - 1], ++this.#draw)}`;
    // Now and then larger than a page, so that one record lies on several.
    const bytes = this.#draws.chance(0.1, ++this.#draw) ? 9000 : this.#draws.between([0, 300], this.#draw, 1);
    const data = Buffer.alloc(bytes, (this.#draw % 255) + 1);
    if (!this.#model.last.has(path)) return { kind: 'create', path, data };
    return this.#draws.chance(0.3, this.#draw, 2) ? { kind: 'delete', path } : { kind: 'set', path, data };
  }

  #send<Request, Response>({ opCode, request }: Operation<Request, Response>, value: Request): void {
    const writer = new JuteWriter();
    const frame = writer.startFrame();
    writer.writeInt(++this.#xid);
    writer.writeInt(opCode);
    request.write(writer, value);
    writer.endFrame(frame);
    this.#write(writer.take());
  }
}

const ZOO_CFG = ['snapCount=12', 'autopurge.purgeInterval=30ms', 'autopurge.snapRetainCount=3'];

/** One server's life with its crashes. @returns how many writes were acknowledged, and lost though they were on the way */
async function live(seed: number): Promise<{ acknowledged: number; lost: number }> {
  const world = new World({ seed, trace: false });
  const draws = new Draws(seed, 'crashes');
  const model = new Model();
  const client = world.spawn('c1');
  let acknowledged = 0;
  let lost = 0;
  // Half of the servers preallocate their logs.
  const preAllocSizeKiB = draws.chance(0.5, 1) ? 16 : 0;
  for (let crash = 0; crash <= CRASHES; crash++) {
    const machine = world.spawn('s1');
    const server = startServer(machine, { zooCfg: ZOO_CFG, preAllocSizeKiB });
    // Some crash again before they serve.
    if (crash > 0 && crash < CRASHES && draws.chance(0.3, 2, crash)) {
      await world.runFor(draws.between([0, 8], 3, crash));
      crashNow(world, machine, draws, crash);
      continue;
    }
    const writer = await connect(world, client, model, draws, crash, () => {
      const before = { sent: model.sent, acknowledged: model.acknowledged };
      const settled = model.settle(contentsOf(server));
      if (settled === undefined) {
        throw new Error(
          `seed ${seed}, crash ${crash}: the tree is none after ${before.acknowledged} to ${before.sent} writes`,
        );
      }
      lost += before.sent - settled;
    });
    server.database.tree.assertConsistent();
    await world.runFor(draws.between([1, 120], 4, crash));
    expect(writer.isClosed).toBe(false);
    acknowledged += model.acknowledged;
    crashNow(world, machine, draws, crash);
  }
  return { acknowledged, lost };
}

function crashNow(world: World, machine: Process, draws: Draws, crash: number): void {
  if (draws.chance(0.2, 5, crash)) world.kill(machine);
  else world.powerLoss(machine);
}

/** Waits until the server serves, compares its tree, and then begins to write. */
async function connect(
  world: World,
  client: Process,
  model: Model,
  draws: Draws,
  crash: number,
  compare: () => void,
): Promise<Writer> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    let opened = false;
    let closed = false;
    const probe = client.network.connect(
      { host: 's1', port: 2181 },
      {
        onOpen: () => {
          opened = true;
        },
        onBytes: () => undefined,
        onClose: () => {
          closed = true;
        },
      },
    );
    await world.runUntil(() => opened || closed);
    probe.close();
    if (!opened) {
      await world.runFor(1);
      continue;
    }
    compare();
    const writer = new Writer(client, model, draws, crash);
    await world.runUntil(() => writer.isConnected || writer.isClosed);
    return writer;
  }
  throw new Error(`seed ${world.seed}: the server does not come back`);
}

describe('a server that crashes', () => {
  it(`has every acknowledged write, and a tree of the model, in ${ROUNDS} lives from seed ${FIRST_SEED}`, {
    timeout: 3_600_000,
  }, async () => {
    let acknowledged = 0;
    let lost = 0;
    for (let seed = FIRST_SEED; seed < FIRST_SEED + ROUNDS; seed++) {
      const life = await live(seed);
      acknowledged += life.acknowledged;
      lost += life.lost;
    }
    // Otherwise the crashes came at the wrong moments, and nothing was shown.
    expect(acknowledged).toBeGreaterThan(ROUNDS * 20);
    expect(lost).toBeGreaterThan(ROUNDS / 10);
  });
});

describe('a server whose disk has refused a sync', () => {
  it('has on its disk what it serves when it is started again, though it read it from memory', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = new World({ seed });
      const draws = new Draws(seed, 'crashes');
      const first = world.spawn('s1');
      startServer(first, { onFailure: () => undefined });
      const writer = await connect(world, world.spawn('c1'), new Model(), draws, 0, () => undefined);
      await world.runFor(50);
      world.disk('s1', 'version-2').inject({ operation: 'sync', code: 'EIO', namePrefix: 'log.' });
      await world.runUntil(() => writer.isClosed);
      world.kill(first);
      const second = world.spawn('s1');
      const served = startServer(second);
      // Not later: then it has a snapshot as well.
      await world.runUntil(() => served.view().mode !== undefined);
      const contents = contentsOf(served);
      expect(contents.size).toBeGreaterThan(0);
      world.powerLoss(second);
      const found = startServer(world.spawn('s1'));
      await world.runUntil(() => found.view().mode !== undefined);
      expect(contentsOf(found), `seed ${seed}`).toEqual(contents);
    }
  });
});
