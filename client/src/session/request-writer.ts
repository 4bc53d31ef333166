/**
 * Requests on their way out: numbered, framed, and collected until they leave in one write.
 *
 * What must always hold: a request that can't be sent leaves no trace in the bytes, whatever has gone wrong in writing it.
 */
import {
  type Codec,
  type ConnectRequest,
  connectRequest,
  JuteWriter,
  OpCode,
  operations,
  requestHeader,
  SpecialXid,
  toXid,
  type Xid,
} from 'zookeeper-protocol-ts';
import { FrameTooLargeError, MarshallingFailedError, type ZooKeeperError } from '../errors.ts';
import { type Credential, describe, type SessionRequest } from './session-request.ts';

export class RequestWriter {
  readonly #writer = new JuteWriter(4096);
  readonly #frameBytesMax: number;
  #xid = 0;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** How many bytes are waiting. */
  get length(): number {
    return this.#writer.length;
  }

  /** All that was written since the last time. The writer has no part in the bytes any more. */
  take(): Uint8Array {
    return this.#writer.take();
  }

  /** Answers with the request's number, or with why it can't be sent. */
  writeRequest(request: SessionRequest): Xid | ZooKeeperError {
    const mark = this.#writer.length;
    const xid = this.#nextXid();
    const problem = this.#writeBody(request, xid, mark);
    if (problem === undefined) return xid;
    this.#writer.rewind(mark);
    return problem;
  }

  writeConnect(request: ConnectRequest): void {
    this.#writeFrame(connectRequest, request);
  }

  writeCredential({ scheme, auth }: Credential): void {
    const frame = this.#writer.startFrame();
    requestHeader.write(this.#writer, { xid: SpecialXid.auth, type: OpCode.auth });
    operations.auth.request.write(this.#writer, { type: 0, scheme, auth });
    this.#writer.endFrame(frame);
  }

  writePing(): void {
    this.#writeFrame(requestHeader, { xid: SpecialXid.ping, type: OpCode.ping });
  }

  #writeBody(request: SessionRequest, xid: Xid, mark: number): ZooKeeperError | undefined {
    const { path, trace } = request;
    try {
      const frame = this.#writer.startFrame();
      requestHeader.write(this.#writer, { xid, type: request.opCode });
      request.write(this.#writer);
      this.#writer.endFrame(frame);
    } catch (cause) {
      // Types promise more than callers keep. One request must not take the others of its tick with it.
      return new MarshallingFailedError(`the request ${describe(request)} can't be written`, { path, cause });
    }
    const length = this.#writer.length - mark - 4;
    if (length > this.#frameBytesMax) {
      return new FrameTooLargeError(
        `the request ${describe(request)} has ${length} bytes; frameBytesMax is ${this.#frameBytesMax}`,
        { path },
      );
    }
    if (trace !== undefined) trace.requestBytes = length;
    return undefined;
  }

  #writeFrame<T>(codec: Codec<T>, value: T): void {
    const frame = this.#writer.startFrame();
    codec.write(this.#writer, value);
    this.#writer.endFrame(frame);
  }

  #nextXid(): Xid {
    this.#xid = this.#xid === 0x7fff_ffff ? 1 : this.#xid + 1;
    return toXid(this.#xid);
  }
}
