import {
  type Codec,
  ErrorCode,
  type JuteReader,
  JuteWriter,
  MarshallingError,
  OpCode,
  opCodeName,
  operations,
  toHex,
  toZxid,
  ZERO_ZXID,
} from 'zookeeper-protocol-ts';
import type { ServerMetrics, Summary } from './admin/metrics.ts';
import type { ServerStatistics } from './admin/server-statistics.ts';
import type { ClientConnection } from './connection/client-connection.ts';
import type { Applied, Database } from './database.ts';
import type { Clock, Hash, RunLog } from './ports.ts';
import { authenticate } from './request/authenticate.ts';
import { read } from './request/read.ts';
import { writeReplyBody } from './request/reply.ts';
import type { ClientRequest, Request } from './request/request.ts';
import { setWatches } from './request/set-watches.ts';
import type { WatchTable } from './watch/watch-table.ts';

export interface AnswersOptions {
  readonly clock: Clock;
  readonly runLog: RunLog;
  readonly hash: Hash;
  readonly superDigest: string | undefined;
  readonly statistics: ServerStatistics;
  readonly metrics: ServerMetrics;
  readonly database: Database;
  readonly watches: WatchTable<ClientConnection>;
}

/**
 * What clients are answered: reads and what concerns only their connection, executed as they are answered, and the outcome of
 * writes (the original's `FinalRequestProcessor`). When a request's turn comes is decided before, in `pipeline.ts`.
 *
 * What must hold: a request gets one reply, in its session's order (REQ-2), and what it is told of before comes before.
 */
export class Answers {
  readonly #clock: Clock;
  readonly #runLog: RunLog;
  readonly #hash: Hash;
  readonly #superDigest: string | undefined;
  readonly #statistics: ServerStatistics;
  readonly #metrics: ServerMetrics;
  readonly #database: Database;
  readonly #watches: WatchTable<ClientConnection>;

  constructor(options: AnswersOptions) {
    this.#clock = options.clock;
    this.#runLog = options.runLog;
    this.#hash = options.hash;
    this.#superDigest = options.superDigest;
    this.#statistics = options.statistics;
    this.#metrics = options.metrics;
    this.#database = options.database;
    this.#watches = options.watches;
  }

  /** Executes what needs no agreement: reads, and what concerns only the connection. */
  execute(request: ClientRequest<ClientConnection>): void {
    if (request.origin.cutOffIfOverrun()) return;
    this.#executeAndAnswer(request);
    this.#watches.takeExcessive()?.close('it watches too much (watchBytesMax, connectionWatchBytesMax)');
  }

  #executeAndAnswer(request: ClientRequest<ClientConnection>): void {
    const { origin: connection, type, xid } = request;
    switch (type) {
      case OpCode.ping:
        return this.#answer(request);
      case OpCode.setWatches:
      case OpCode.setWatches2:
        return this.#setWatches(request);
    }
    if (!READS.has(type)) return this.#refuse(request);
    const writer = connection.startReply(xid, this.#database.lastZxid);
    connection.endReply(read(request, this.#database.tree, this.#watches, writer));
    this.record(request, connection, this.#metrics.summaries.readlatency);
  }

  /** It waited too long to be worth executing (`throttled_op_wait_time`). */
  refuseLate({ origin: connection, xid }: ClientRequest<ClientConnection>): void {
    if (connection.cutOffIfOverrun()) return;
    connection.startReply(xid, ZERO_ZXID);
    connection.endReply(ErrorCode.THROTTLED_OP);
  }

  /** The outcome of a write. */
  answerWrite(request: ClientRequest<ClientConnection>, applied: Applied): void {
    const { origin: connection, xid, type } = request;
    if (connection.isClosed) return this.#countStale();
    const writer = connection.startReply(xid, this.#database.lastZxid);
    if (applied.error === ErrorCode.OK) writeReplyBody(type, applied, this.#database, writer);
    connection.endReply(applied.error);
    this.record(request, connection, this.#metrics.summaries.updatelatency);
  }

  /** Everything proposed before the sync has been applied. */
  answerSync(request: ClientRequest<ClientConnection>): void {
    this.#answer(request, (writer) => {
      operations.sync.response.write(writer, operations.sync.request.read(request.body));
    });
  }

  /** The session is over. */
  answerClose(request: ClientRequest<ClientConnection>): void {
    this.#answer(request);
  }

  /** Who proves nothing, or sends what can't be read, has the connection ended. */
  authenticate({ origin: connection, xid, body }: ClientRequest<ClientConnection>): void {
    if (connection.isClosed) return;
    const packet = readOrUndefined(operations.auth.request, body);
    if (packet === undefined) return connection.close('unreadable credentials');
    const { scheme } = packet;
    const sha1 = (bytes: Uint8Array) => this.#hash.sha1(bytes);
    const proved = authenticate(packet, { address: connection.remoteHost, superDigest: this.#superDigest, sha1 });
    const succeeded = proved !== undefined && connection.addIdentities(proved);
    connection.startReply(xid, ZERO_ZXID);
    connection.endReply(succeeded ? ErrorCode.OK : ErrorCode.AUTH_FAILED);
    if (succeeded) {
      const session = toHex(connection.sessionId);
      this.#runLog.info(`session ${session}: authentication by ${scheme} succeeded for ${connection.remote}`);
    } else connection.close(`authentication by ${scheme} failed`);
  }

  /** There is no SASL: like a server without a JAAS section, it answers that all is well and proves nothing. */
  answerSasl({ origin: connection, xid, body }: ClientRequest<ClientConnection>): void {
    if (connection.isClosed) return;
    if (readOrUndefined(operations.sasl.request, body) === undefined) {
      connection.close('an unreadable SASL token');
      return;
    }
    operations.sasl.response.write(connection.startReply(xid, ZERO_ZXID), { token: null });
    connection.endReply(ErrorCode.OK);
  }

  /** Counts an answer, for `srvr`, `cons` and the metrics. @param byKind of reads or of writes */
  record({ type, xid, arrivedAt }: Request, { statistics }: ClientConnection, byKind: Summary): void {
    const now = this.#clock.now();
    this.#statistics.latency.record(now - arrivedAt);
    byKind.record(now - arrivedAt);
    statistics.recordAnswer(type, xid, this.#database.lastZxid, arrivedAt, now);
  }

  /** No client may ask for it: the protocol's own answer, and the end of the connection. */
  #refuse({ origin: connection, xid, type }: ClientRequest<ClientConnection>): void {
    connection.startReply(xid, UNIMPLEMENTED_ZXID);
    connection.endReply(ErrorCode.UNIMPLEMENTED);
    connection.close(`it asked for ${opCodeName(type)}, which is no operation of the protocol`);
  }

  #setWatches(request: ClientRequest<ClientConnection>): void {
    const operation = request.type === OpCode.setWatches ? operations.setWatches : operations.setWatches2;
    this.#answer(request, () => {
      const wanted = operation.request.read(request.body);
      setWatches(wanted, this.#database.tree, this.#watches, request.origin, (watcher, type, path) =>
        watcher.notify(type, path),
      );
    });
  }

  /** Answers what concerns only the connection; a malformed body is answered with the protocol's code for it. */
  #answer(request: ClientRequest<ClientConnection>, act?: (writer: JuteWriter) => void): void {
    const { origin: connection, xid } = request;
    if (connection.isClosed) return this.#countStale();
    // A ping, of which there are many, has no body.
    const body = act && new JuteWriter();
    let error: ErrorCode = ErrorCode.OK;
    try {
      // First the act, for what it tells the connection comes before the reply.
      if (body !== undefined) act?.(body);
    } catch (failure) {
      if (!(failure instanceof MarshallingError)) throw failure;
      error = ErrorCode.MARSHALLING_ERROR;
    }
    const reply = connection.startReply(xid, this.#database.lastZxid);
    if (body !== undefined) reply.writeRaw(body.take());
    connection.endReply(error);
    this.record(request, connection, this.#metrics.summaries.readlatency);
  }

  /** Whom the answer is for has gone. */
  #countStale(): void {
    this.#metrics.counters.stale_replies++;
  }
}

/** What `request/read.ts` answers. */
const READS: ReadonlySet<number> = new Set([
  OpCode.exists,
  OpCode.getData,
  OpCode.getChildren,
  OpCode.getChildren2,
  OpCode.getACL,
  OpCode.multiRead,
  OpCode.getEphemerals,
  OpCode.getAllChildrenNumber,
  OpCode.whoAmI,
  OpCode.addWatch,
  OpCode.checkWatches,
  OpCode.removeWatches,
]);

/** What the original answers with to an operation that it doesn't know. */
const UNIMPLEMENTED_ZXID = toZxid(-1n);

/** A request, or undefined if it is malformed. */
function readOrUndefined<T>(codec: Codec<T>, body: JuteReader): T | undefined {
  try {
    return codec.read(body);
  } catch (error) {
    if (error instanceof MarshallingError) return undefined;
    throw error;
  }
}
