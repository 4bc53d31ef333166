/**
 * The sessions of a server without a server: real connections on streams that the test moves, the real trackers, a clock that stands
 * still until it is told to go on. What is asked of agreement is written down, and decided by the test.
 */
import {
  type ConnectRequest,
  type ConnectResponse,
  connectRequest,
  connectResponse,
  JuteReader,
  JuteWriter,
  NO_SESSION,
  OpCode,
  type SessionId,
  type Txn,
  toXid,
  ZERO_ZXID,
} from 'zookeeper-protocol-ts';
import { ServerMetrics } from './admin/metrics.ts';
import { ServerStatistics } from './admin/server-statistics.ts';
import { Answers } from './answers.ts';
import { ClientSessions } from './client-sessions.ts';
import { completeConfig, type ServerConfigOptions } from './config.ts';
import { ClientConnection, type ConnectionOwner } from './connection/client-connection.ts';
import { ConnectionMemory } from './connection/connection-memory.ts';
import { Connections } from './connection/connections.ts';
import { FakeRunLog, FakeStream } from './connection/fake-network.fixture.ts';
import { Refusals } from './connection/refusals.ts';
import { Database } from './database.ts';
import type { Clock } from './ports.ts';
import { SessionTracker } from './session/session-tracker.ts';
import { TouchedSessions } from './session/touched-sessions.ts';
import { WatchTable } from './watch/watch-table.ts';

/** A clock that the test sets. */
export class FakeClock implements Clock {
  at = 0;

  now(): number {
    return this.at;
  }

  wallTime(): number {
    return 1_700_000_000_000 + this.at;
  }

  setAlarm(): void {
    // The test looks at the clock itself.
  }

  soon(run: () => void): void {
    run();
  }
}

export class SessionsStage {
  readonly clock = new FakeClock();
  readonly database = new Database();
  readonly runLog = new FakeRunLog();
  readonly metrics = new ServerMetrics();
  readonly connections: Connections;
  readonly sessions: ClientSessions;
  /** What the server has asked of agreement in its own name. */
  readonly asked: { readonly type: OpCode; readonly sessionId: SessionId }[] = [];
  /** Of which sessions the leader was asked. */
  readonly revalidated: SessionId[] = [];
  readonly #owner: ConnectionOwner;
  readonly #frameBytesMax: number;
  #nextPort = 1000;

  /** @param options `leads`: whether it knows which sessions there are. Default true */
  constructor({ leads = true, ...options }: Partial<ServerConfigOptions> & { readonly leads?: boolean } = {}) {
    const config = completeConfig({ dataDir: '/data', clientPort: 2181, tickTimeMs: 1000, ...options });
    const { clock, database, runLog, metrics } = this;
    this.#frameBytesMax = config.frameBytesMax;
    this.connections = new Connections(config);
    const statistics = new ServerStatistics();
    this.sessions = new ClientSessions({
      ...{ config, clock, runLog, metrics, database, connections: this.connections },
      random: { next: () => 0, bytes: (count) => new Uint8Array(count) },
      refusals: new Refusals(runLog),
      answers: new Answers({
        ...{ clock, runLog, metrics, database, statistics, watches: new WatchTable<ClientConnection>() },
        ...{ hash: { sha1: () => new Uint8Array(20) }, superDigest: undefined },
      }),
      ask: (type, sessionId) => this.asked.push({ type, sessionId }),
      clockOfSessions: leads
        ? new SessionTracker({ tickMs: config.tickTimeMs, now: 0 })
        : new TouchedSessions(database.sessions),
      revalidate: leads ? undefined : (sessionId) => this.revalidated.push(sessionId),
    });
    this.#owner = {
      ...{ metrics, statistics, connectionMemory: new ConnectionMemory(config), isOverloaded: false },
      onConnectRequest: (connection, request) => this.sessions.onConnectRequest(connection, request),
      onRequest: () => undefined,
      onFourLetterWord: () => undefined,
      onWritten: () => undefined,
      onResumed: () => undefined,
      onClosed: (connection, sessionId) => this.connections.remove(connection, sessionId),
      now: () => clock.now(),
      wallTime: () => clock.wallTime(),
    };
  }

  /** A client connects, and asks for a session. */
  connect(request: Partial<ConnectRequest> = {}): FakeClient {
    const client = this.open();
    client.ask(request);
    return client;
  }

  /** A client connects, and says nothing. */
  open(): FakeClient {
    const stream = new FakeStream({ host: '10.0.0.9', port: this.#nextPort++ });
    const limits = { frameBytesMax: this.#frameBytesMax, skipAcl: false };
    const connection = new ClientConnection(this.#owner, stream, limits);
    stream.handler = connection;
    this.connections.add(connection, this.clock.now());
    return new FakeClient(stream, connection);
  }

  /** Agreement has decided that there is such a session. @param isOurs whether it was asked for here */
  created(sessionId: SessionId, timeoutMs = 4000): void {
    const header = { sessionId, cxid: toXid(0), zxid: ZERO_ZXID, time: 0, type: OpCode.createSession };
    const txn: Txn = { header, body: { type: OpCode.createSession, timeoutMs }, digest: undefined };
    this.sessions.onCreated(txn, undefined);
  }

  /** A client with a session that was just made. */
  join(timeoutMs = 4000): { readonly client: FakeClient; readonly sessionId: SessionId } {
    const client = this.connect({ timeoutMs });
    const sessionId = this.asked.at(-1)?.sessionId ?? NO_SESSION;
    this.created(sessionId, timeoutMs);
    return { client, sessionId };
  }
}

export class FakeClient {
  readonly stream: FakeStream;
  readonly connection: ClientConnection;

  constructor(stream: FakeStream, connection: ClientConnection) {
    this.stream = stream;
    this.connection = connection;
  }

  ask(request: Partial<ConnectRequest>): void {
    const writer = new JuteWriter();
    const frame = writer.startFrame();
    connectRequest.write(writer, {
      ...{ protocolVersion: 0, lastZxidSeen: ZERO_ZXID, timeoutMs: 4000, sessionId: NO_SESSION },
      ...{ password: new Uint8Array(16), readOnly: false },
      ...request,
    });
    writer.endFrame(frame);
    this.stream.receive(writer.take());
  }

  /** What it was answered; undefined if nothing was. */
  answer(): ConnectResponse | undefined {
    this.connection.flush();
    const { written } = this.stream;
    return written.length === 0 ? undefined : connectResponse.read(new JuteReader(written.subarray(4)));
  }
}
