/**
 * For the unit tests of the framework: a clock that the test moves, and one server in memory that speaks the protocol over
 * the client's own ports. The client above them is the real one, down to the bytes. The server does only what the tests
 * need, never expires a session by itself, accepts no credentials, and fails the way the test says. Not part of the package's
 * door.
 */
import {
  AddWatchMode,
  CreateMode,
  connectRequest,
  connectResponse,
  ErrorCode,
  EventType,
  FrameReader,
  isEphemeral,
  isSequential,
  JuteReader,
  JuteWriter,
  KeeperState,
  NO_SESSION,
  nameOf,
  OpCode,
  type Operation,
  opCodeName,
  operations,
  PASSWORD_BYTES,
  parentOf,
  replyHeader,
  requestHeader,
  type SessionId,
  type SetWatches2Request,
  SpecialXid,
  type Stat,
  sequenceSuffix,
  toSessionId,
  toZxid,
  watcherEvent,
  type Xid,
} from 'zookeeper-protocol-ts';
import type { Clock, Connection, ConnectionHandler, HostAddress, Ports, Timer } from '../session/transport.ts';

interface Alarm {
  readonly at: number;
  readonly run: () => void;
}

/** Time that passes by the test's hand alone. */
export class VirtualClock implements Clock {
  #now = 0;
  #soon = 0;
  readonly #alarms = new Set<Alarm>();

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): Timer {
    const alarm = { at: this.#now + ms, run };
    this.#alarms.add(alarm);
    return { cancel: () => void this.#alarms.delete(alarm) };
  }

  soon(run: () => void): void {
    this.#soon++;
    setImmediate(() => {
      this.#soon--;
      run();
    });
  }

  /** How many timers are running. */
  get timers(): number {
    return this.#alarms.size;
  }

  /** Lets everything run that needs no time to pass. */
  async settle(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve));
    while (this.#soon > 0);
    // What the last turn settled may have asked for another one.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#soon > 0) await this.settle();
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#alarms.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await this.settle();
    }
    this.#now = end;
  }

  /** Time passes, and nothing of this process runs. */
  freeze(ms: number): void {
    this.#now += ms;
  }

  #next(end: number): Alarm | undefined {
    return [...this.#alarms].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
  }
}

/** What becomes of a request. A number is an error code to refuse it with. */
export type Fate =
  | number
  /** The connection breaks before the server has got it. */
  | 'lose request'
  /** It is done, and the connection breaks before the answer. */
  | 'lose reply'
  /** It is neither done nor answered. */
  | 'ignore';

export interface ReceivedRequest {
  /** `create2`, `exists`, … */
  readonly operation: string;
  readonly path: string;
  readonly sessionId: SessionId;
}

interface Znode {
  data: Buffer;
  version: number;
  children: number;
  readonly mode: CreateMode;
  readonly czxid: bigint;
  mzxid: bigint;
  /** Of the last child that came or went. */
  pzxid: bigint;
  /** How many children came or went. */
  cversion: number;
  readonly owner: SessionId;
}

type WatchMode = 'once' | 'persistent' | 'recursive';

interface ServerConnection {
  readonly handler: ConnectionHandler;
  readonly frames: FrameReader;
  /** Set by the handshake. */
  sessionId: SessionId;
  open: boolean;
  /** `data /path`, `child /path`: what the client watches. As in ZooKeeper 3.8 in one mode, the one it asked for last. */
  readonly watches: Map<string, WatchMode>;
}

class Refusal extends Error {
  readonly errorCode: number;
  constructor(errorCode: number) {
    super(`error ${errorCode}`);
    this.errorCode = errorCode;
  }
}

const CONFIG_PATH = '/zookeeper/config';

/** How a port without a listener answers. */
const REFUSED = 'connect ECONNREFUSED';

export class FakeServer {
  readonly clock = new VirtualClock();
  readonly connectString = 'zk1:2181';
  /** False: connections are refused. */
  up = true;
  /** False: connections are accepted, and nothing is answered. */
  answers = true;
  /** False: a server without persistent watches, ZooKeeper 3.5, which refuses unknown requests and ends the connection. */
  persistentWatches = true;
  /** Asked about each request but pings. */
  fate: (request: ReceivedRequest) => Fate | undefined = () => undefined;
  /** What `/zookeeper/config` holds, and whether clients may authenticate. */
  config = '';
  acceptsCredentials = false;
  /** The identities that were accepted, oldest first: `digest bob:pw`. */
  readonly credentials: string[] = [];
  /** All requests but pings and those of the ensemble tracker, oldest first: `create2 /a`. */
  readonly received: string[] = [];
  readonly #znodes = new Map<string, Znode>([['/', newZnode(CreateMode.PERSISTENT, NO_SESSION, 0n, Buffer.alloc(0))]]);
  readonly #sessions = new Map<SessionId, number>();
  readonly #connections = new Set<ServerConnection>();
  #lastSessionId = 0n;
  #zxid = 0n;
  #random = 1;

  readonly ports: Ports = {
    clock: this.clock,
    random: () => this.#nextRandom(),
    transport: { connect: (address, handler) => this.#connect(address, handler) },
  };

  /** Sessions that have not ended. */
  get sessions(): SessionId[] {
    return [...this.#sessions.keys()];
  }

  /** Paths of all znodes but the root, sorted. */
  get paths(): string[] {
    return [...this.#znodes.keys()].filter((path) => path !== '/').sort();
  }

  /** All that is watched, over all connections, but for the ensemble tracker's: `data /a once`. */
  get watches(): string[] {
    return [...this.#connections]
      .flatMap(({ watches }) => [...watches].map(([watch, mode]) => `${watch} ${mode}`))
      .filter((watch) => watch !== `data ${CONFIG_PATH} once`)
      .sort();
  }

  modeOf(path: string): CreateMode | undefined {
    return this.#znodes.get(path)?.mode;
  }

  dataOf(path: string): string | undefined {
    return this.#znodes.get(path)?.data.toString();
  }

  ownerOf(path: string): SessionId | undefined {
    return this.#znodes.get(path)?.owner;
  }

  /** Somebody else's create. */
  make(path: string, mode: CreateMode = CreateMode.PERSISTENT, owner: SessionId = NO_SESSION): void {
    this.#create(path, Buffer.alloc(0), mode, owner);
  }

  /** Somebody else's setData. */
  write(path: string, data = ''): void {
    this.#setData(path, Buffer.from(data), -1);
  }

  /** Somebody else's delete. */
  remove(path: string): void {
    this.#delete(path);
  }

  /** Breaks all connections and refuses new ones. Sessions and znodes stay. */
  stop(): void {
    this.up = false;
    this.dropConnections();
  }

  start(): void {
    this.up = true;
  }

  dropConnections(): void {
    for (const connection of [...this.#connections]) this.#drop(connection);
  }

  /** Ends a session, and its ephemeral znodes with it. The client hears of it when it connects again. */
  expire(sessionId: SessionId): void {
    this.#sessions.delete(sessionId);
    for (const [path, { owner }] of [...this.#znodes]) if (owner === sessionId) this.#delete(path);
    for (const connection of [...this.#connections]) if (connection.sessionId === sessionId) this.#drop(connection);
  }

  // The wire.

  #connect({ host, port }: HostAddress, handler: ConnectionHandler): Connection {
    const connection: ServerConnection = {
      handler,
      frames: new FrameReader(),
      sessionId: NO_SESSION,
      open: true,
      watches: new Map(),
    };
    this.#connections.add(connection);
    this.clock.soon(() => {
      if (!connection.open) return;
      if (this.up) return handler.onOpen();
      this.#drop(connection, new Error(`${REFUSED} ${host}:${port}`));
    });
    return {
      write: (bytes) => {
        connection.frames.push(bytes);
        this.clock.soon(() => this.#onBytes(connection));
      },
      close: () => {
        // What was written still arrives.
        this.clock.soon(() => this.clock.soon(() => this.#forget(connection)));
      },
    };
  }

  #forget(connection: ServerConnection): void {
    connection.open = false;
    this.#connections.delete(connection);
  }

  #drop(connection: ServerConnection, error?: Error): void {
    if (!connection.open) return;
    this.#forget(connection);
    connection.handler.onClose(error);
  }

  #onBytes(connection: ServerConnection): void {
    while (connection.open && this.answers) {
      const frame = connection.frames.next();
      if (frame === undefined) return;
      if (connection.sessionId === NO_SESSION) this.#onConnect(connection, frame);
      else this.#onRequest(connection, frame);
    }
  }

  #onConnect(connection: ServerConnection, frame: Buffer): void {
    const { sessionId, timeoutMs } = connectRequest.read(new JuteReader(frame));
    const isNew = sessionId === NO_SESSION;
    const granted = isNew ? toSessionId(++this.#lastSessionId) : sessionId;
    if (isNew) this.#sessions.set(granted, timeoutMs);
    const known = this.#sessions.get(granted);
    connection.sessionId = granted;
    this.#send(connection, (writer) =>
      connectResponse.write(writer, {
        protocolVersion: 0,
        timeoutMs: known ?? 0,
        sessionId: known === undefined ? NO_SESSION : granted,
        password: Buffer.alloc(PASSWORD_BYTES, known === undefined ? 0 : 7),
        readOnly: false,
      }),
    );
  }

  #onRequest(connection: ServerConnection, frame: Buffer): void {
    const reader = new JuteReader(frame);
    const { xid, type } = requestHeader.read(reader);
    if (type === OpCode.ping) return this.#reply(connection, SpecialXid.ping, ErrorCode.OK);
    if (type === OpCode.auth) return this.#onAuth(connection, reader);
    const { path, run } = this.#decode(connection, type, reader);
    const operation = opCodeName(type);
    // Every client reads it on every connection: no fate of a test's is meant for that.
    if (path === CONFIG_PATH) return this.#reply(connection, xid, ErrorCode.OK, run());
    this.received.push(path === '' ? operation : `${operation} ${path}`);
    const fate = this.fate({ operation, path, sessionId: connection.sessionId });
    if (fate === 'ignore') return;
    if (fate === 'lose request') return this.#drop(connection);
    if (typeof fate === 'number') return this.#reply(connection, xid, fate);
    if (type === OpCode.addWatch && !this.persistentWatches) {
      this.#reply(connection, xid, ErrorCode.UNIMPLEMENTED);
      return this.clock.soon(() => this.clock.soon(() => this.#drop(connection)));
    }
    try {
      const body = run();
      if (fate === 'lose reply') return this.#drop(connection);
      this.#reply(connection, xid, ErrorCode.OK, body);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (fate === 'lose reply') return this.#drop(connection);
      this.#reply(connection, xid, error.errorCode);
    }
  }

  #onAuth(connection: ServerConnection, reader: JuteReader): void {
    const { scheme, auth } = operations.auth.request.read(reader);
    if (!this.acceptsCredentials) return this.#reply(connection, SpecialXid.auth, ErrorCode.AUTH_FAILED);
    this.credentials.push(`${scheme} ${Buffer.from(auth ?? []).toString()}`);
    this.#reply(connection, SpecialXid.auth, ErrorCode.OK);
  }

  /** The ensemble has changed. */
  reconfigure(config: string): void {
    this.config = config;
    this.#notify(EventType.NodeDataChanged, CONFIG_PATH);
  }

  #reply(connection: ServerConnection, xid: Xid, err: number, body?: (writer: JuteWriter) => void): void {
    this.#send(connection, (writer) => {
      replyHeader.write(writer, { xid, zxid: toZxid(this.#zxid), err });
      body?.(writer);
    });
  }

  #send(connection: ServerConnection, write: (writer: JuteWriter) => void): void {
    const writer = new JuteWriter();
    const mark = writer.startFrame();
    write(writer);
    writer.endFrame(mark);
    const bytes = writer.take();
    this.clock.soon(() => {
      if (connection.open) connection.handler.onBytes(bytes);
    });
  }

  // The operations.

  #decode(
    connection: ServerConnection,
    type: number,
    reader: JuteReader,
  ): { path: string; run: () => ((writer: JuteWriter) => void) | undefined } {
    const decoded = <Request extends { path: string }, Response>(
      { request, response }: Operation<Request, Response>,
      run: (body: Request) => Response,
    ) => {
      const body = request.read(reader);
      return {
        path: body.path,
        run: () => {
          const answer = run(body);
          return (writer: JuteWriter) => response.write(writer, answer);
        },
      };
    };
    const watch = (kind: 'data' | 'child', { path, watch }: { path: string; watch: boolean }) => {
      if (watch) connection.watches.set(`${kind} ${path}`, 'once');
    };
    switch (type) {
      case OpCode.create2:
      case OpCode.createContainer:
        return decoded(operations.create2, ({ path, data, flags }) => {
          const mode = flags as CreateMode;
          const owner = isEphemeral(mode) ? connection.sessionId : NO_SESSION;
          const created = this.#create(path, Buffer.from(data ?? []), mode, owner);
          return { path: created, stat: this.#stat(created) };
        });
      case OpCode.delete:
        return decoded(operations.delete, ({ path, version }) => {
          this.#checkVersion(path, version);
          return this.#delete(path);
        });
      case OpCode.exists:
        return decoded(operations.exists, (request) => {
          watch('data', request);
          return { stat: this.#stat(request.path) };
        });
      case OpCode.getData:
        return decoded(operations.getData, (request) => {
          if (request.path === CONFIG_PATH) {
            watch('data', request);
            return { data: Buffer.from(this.config), stat: this.#stat('/') };
          }
          const stat = this.#stat(request.path);
          watch('data', request);
          return { data: this.#znodes.get(request.path)?.data ?? null, stat };
        });
      case OpCode.getChildren2:
        return decoded(operations.getChildren2, (request) => {
          const stat = this.#stat(request.path);
          watch('child', request);
          return { children: this.#childrenOf(request.path), stat };
        });
      case OpCode.setData:
        return decoded(operations.setData, ({ path, data, version }) => {
          this.#setData(path, Buffer.from(data ?? []), version);
          return { stat: this.#stat(path) };
        });
      case OpCode.sync:
        return decoded(operations.sync, (request) => request);
      case OpCode.closeSession:
        return {
          path: '',
          run: () => {
            const { sessionId } = connection;
            this.#sessions.delete(sessionId);
            for (const [path, { owner }] of [...this.#znodes]) if (owner === sessionId) this.#delete(path);
            return undefined;
          },
        };
      case OpCode.setWatches:
      case OpCode.setWatches2: {
        const watches =
          type === OpCode.setWatches2
            ? operations.setWatches2.request.read(reader)
            : {
                ...operations.setWatches.request.read(reader),
                persistentWatches: [],
                persistentRecursiveWatches: [],
              };
        return { path: '', run: () => this.#restoreWatches(connection, watches) };
      }
      case OpCode.addWatch:
        return decoded(operations.addWatch, ({ path, mode }) => {
          const watchMode = mode === AddWatchMode.PERSISTENT ? 'persistent' : 'recursive';
          connection.watches.set(`data ${path}`, watchMode);
          connection.watches.set(`child ${path}`, watchMode);
          return { err: 0 };
        });
      case OpCode.removeWatches:
        return decoded(operations.removeWatches, ({ path, type }) => {
          const tables = [...(type !== 1 ? ['data'] : []), ...(type !== 2 ? ['child'] : [])];
          const removed = tables.filter((table) => connection.watches.delete(`${table} ${path}`));
          if (removed.length === 0) throw new Refusal(ErrorCode.NO_WATCHER);
          return undefined;
        });
      default:
        throw new Error(`the fake server does not know ${opCodeName(type)}`);
    }
  }

  #create(path: string, data: Buffer, mode: CreateMode, owner: SessionId): string {
    const parentPath = parentOf(path);
    const parent = this.#znodes.get(parentPath);
    if (parent === undefined) throw new Refusal(ErrorCode.NO_NODE);
    const created = isSequential(mode) ? path + sequenceSuffix(parent.children) : path;
    if (this.#znodes.has(created)) throw new Refusal(ErrorCode.NODE_EXISTS);
    parent.children++;
    this.#znodes.set(created, newZnode(mode, owner, ++this.#zxid, data));
    this.#touchParent(created);
    this.#notify(EventType.NodeCreated, created);
    this.#notify(EventType.NodeChildrenChanged, parentPath);
    return created;
  }

  #delete(path: string): undefined {
    if (!this.#znodes.has(path)) throw new Refusal(ErrorCode.NO_NODE);
    if (this.#childrenOf(path).length > 0) throw new Refusal(ErrorCode.NOT_EMPTY);
    this.#znodes.delete(path);
    this.#zxid++;
    this.#touchParent(path);
    this.#notify(EventType.NodeDeleted, path);
    this.#notify(EventType.NodeChildrenChanged, parentOf(path));
    return undefined;
  }

  /** A child came or went. */
  #touchParent(path: string): void {
    const parent = this.#znodes.get(parentOf(path));
    if (parent === undefined) return;
    parent.cversion++;
    parent.pzxid = this.#zxid;
  }

  #setData(path: string, data: Buffer, version: number): void {
    const znode = this.#checkVersion(path, version);
    znode.data = data;
    znode.version++;
    znode.mzxid = ++this.#zxid;
    this.#notify(EventType.NodeDataChanged, path);
  }

  #checkVersion(path: string, version: number): Znode {
    const znode = this.#znodes.get(path);
    if (znode === undefined) throw new Refusal(ErrorCode.NO_NODE);
    if (version !== -1 && version !== znode.version) throw new Refusal(ErrorCode.BAD_VERSION);
    return znode;
  }

  #childrenOf(path: string): string[] {
    return this.paths.filter((each) => parentOf(each) === path).map(nameOf);
  }

  #stat(path: string): Stat {
    const znode = this.#znodes.get(path);
    if (znode === undefined) throw new Refusal(ErrorCode.NO_NODE);
    return {
      czxid: toZxid(znode.czxid),
      mzxid: toZxid(znode.mzxid),
      ctime: 0,
      mtime: 0,
      version: znode.version,
      cversion: znode.cversion,
      aversion: 0,
      ephemeralOwner: znode.owner,
      dataLength: znode.data.length,
      numChildren: this.#childrenOf(path).length,
      pzxid: toZxid(znode.pzxid),
    };
  }

  #notify(type: EventType, path: string): void {
    for (const connection of this.#connections) {
      if (this.#isWatching(connection, type, path)) this.#sendEvent(connection, type, path);
    }
  }

  /** Uses up a one-shot watch. */
  #isWatching({ watches }: ServerConnection, type: EventType, path: string): boolean {
    const tables = type === EventType.NodeChildrenChanged ? ['child'] : ['data'];
    if (type === EventType.NodeDeleted) tables.push('child');
    let isWatching = false;
    for (const table of tables) {
      const mode = watches.get(`${table} ${path}`);
      if (mode === 'once') watches.delete(`${table} ${path}`);
      if (mode !== undefined && (mode !== 'recursive' || type !== EventType.NodeChildrenChanged)) isWatching = true;
    }
    if (type === EventType.NodeChildrenChanged) return isWatching;
    for (let at = path; at !== '/' && !isWatching; ) {
      at = parentOf(at);
      isWatching = watches.get(`data ${at}`) === 'recursive';
    }
    return isWatching;
  }

  #sendEvent(connection: ServerConnection, type: EventType, path: string): void {
    this.#send(connection, (writer) => {
      replyHeader.write(writer, { xid: SpecialXid.notification, zxid: toZxid(-1n), err: ErrorCode.OK });
      watcherEvent.write(writer, { type, state: KeeperState.SyncConnected, path });
    });
  }

  #restoreWatches(connection: ServerConnection, watches: SetWatches2Request): undefined {
    const { relativeZxid } = watches;
    const restore = (kind: 'data' | 'child', path: string, missed: EventType | undefined): void => {
      if (missed === undefined) connection.watches.set(`${kind} ${path}`, 'once');
      else this.#sendEvent(connection, missed, path);
    };
    for (const path of watches.dataWatches) {
      const znode = this.#znodes.get(path);
      const missed = znode === undefined ? EventType.NodeDeleted : EventType.NodeDataChanged;
      restore('data', path, znode === undefined || znode.mzxid > relativeZxid ? missed : undefined);
    }
    for (const path of watches.existWatches) {
      restore('data', path, this.#znodes.has(path) ? EventType.NodeCreated : undefined);
    }
    for (const path of watches.childWatches) {
      const znode = this.#znodes.get(path);
      const missed = znode === undefined ? EventType.NodeDeleted : EventType.NodeChildrenChanged;
      restore('child', path, znode === undefined || znode.pzxid > relativeZxid ? missed : undefined);
    }
    for (const [mode, paths] of [
      ['persistent', watches.persistentWatches],
      ['recursive', watches.persistentRecursiveWatches],
    ] as const) {
      for (const path of paths) for (const kind of ['data', 'child']) connection.watches.set(`${kind} ${path}`, mode);
    }
  }

  /** Park and Miller's generator: repeats itself, and is random enough for ids. */
  #nextRandom(): number {
    this.#random = (this.#random * 48271) % 0x7fff_ffff;
    return this.#random / 0x7fff_ffff;
  }
}

const newZnode = (mode: CreateMode, owner: SessionId, czxid: bigint, data: Buffer): Znode => ({
  data,
  version: 0,
  children: 0,
  mode,
  czxid,
  mzxid: czxid,
  pzxid: czxid,
  cversion: 0,
  owner,
});
