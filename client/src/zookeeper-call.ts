/**
 * One call of the user's: a request of the session machine on one side, a promise on the other. The promise settles exactly
 * once: by the answer, by the end of the connection or the session, by the call's own timeout, or by its signal.
 */
import { ErrorCode, type JuteReader, type JuteWriter, type OpCode, type Operation } from 'zookeeper-protocol-ts';
import { errorFromCode, OperationTimeoutError, type ZooKeeperError } from './errors.ts';
import { onAbort } from './on-abort.ts';
import type { Deliveries } from './session/deliveries.ts';
import type { RequestTrace } from './session/request-trace.ts';
import type { SessionRequest } from './session/session-request.ts';
import type { Clock, Timer } from './session/transport.ts';

/** What every call takes. */
export interface CallOptions {
  /**
   * Gives the call up: it rejects with `signal.reason`. A request that was sent already can't be taken back: a write may still
   * be applied, and may have been.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * Gives the call up after so many ms, counted from the call: it rejects with {@link OperationTimeoutError}. A request that was
   * sent already can't be taken back. Without it, a call takes at the most as long as the connection stays, or the next attempt to connect.
   */
  readonly timeoutMs?: number | undefined;
}

export interface CallPlan<Request, Response, Result> {
  readonly operation: Operation<Request, Response>;
  readonly request: Request;
  /** The path as the user gave it, for errors. */
  readonly path: string | undefined;
  readonly options: CallOptions;
  /** Makes the result, in the answer's place among the events: here a watch is noted. What it throws, the call rejects with. */
  readonly onOk: (response: Response) => Result;
  /** The same for a code other than OK. Without it, the call rejects with the error for that code. */
  readonly onRefused?: (code: number) => Result;
}

export class Call<Request, Response, Result> implements SessionRequest {
  readonly trace: RequestTrace | undefined;
  readonly #plan: CallPlan<Request, Response, Result>;
  readonly #deliveries: Deliveries;
  readonly #resolve: (result: Result) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #timer: Timer | undefined;
  readonly #stopWaiting: (() => void) | undefined;
  #settled = false;

  constructor(
    plan: CallPlan<Request, Response, Result>,
    { clock, deliveries, trace }: { clock: Clock; deliveries: Deliveries; trace?: RequestTrace | undefined },
    settle: { resolve: (result: Result) => void; reject: (reason: unknown) => void },
  ) {
    this.trace = trace;
    this.#plan = plan;
    this.#deliveries = deliveries;
    this.#resolve = settle.resolve;
    this.#reject = settle.reject;
    const { signal, timeoutMs } = plan.options;
    if (timeoutMs !== undefined)
      this.#timer = clock.after(timeoutMs, () => this.#giveUp(this.#timeoutError(timeoutMs)));
    if (signal !== undefined) {
      this.#stopWaiting = onAbort(signal, () => this.#giveUp(signal.reason));
    }
  }

  get opCode(): OpCode {
    return this.#plan.operation.opCode;
  }

  get path(): string | undefined {
    return this.#plan.path;
  }

  get settled(): boolean {
    return this.#settled;
  }

  write(writer: JuteWriter): void {
    this.#plan.operation.request.write(writer, this.#plan.request);
  }

  onReply(err: number, body: JuteReader): void {
    const { operation, onOk, onRefused, path } = this.#plan;
    if (err === ErrorCode.OK) {
      // Outside of what the user is answered: bytes that can't be read are the session's business.
      const response = operation.response.read(body);
      this.#answer(() => onOk(response));
    } else if (onRefused !== undefined) {
      this.#answer(() => onRefused(err));
    } else {
      this.onFailure(errorFromCode(err, path));
    }
  }

  onFailure(error: ZooKeeperError): void {
    this.#settle(() => this.#reject(error));
  }

  #answer(toResult: () => Result): void {
    try {
      const result = toResult();
      this.#settle(() => this.#resolve(result));
    } catch (error) {
      this.#settle(() => this.#reject(error));
    }
  }

  /** The user learns of it in its place among the events. */
  #settle(run: () => void): void {
    if (this.#settled) return;
    this.#release();
    this.#deliveries.add('answer', run);
  }

  #giveUp(reason: unknown): void {
    if (this.#settled) return;
    this.#release();
    this.#reject(reason);
  }

  #release(): void {
    this.#settled = true;
    this.#timer?.cancel();
    this.#stopWaiting?.();
  }

  #timeoutError(timeoutMs: number): OperationTimeoutError {
    const { path } = this.#plan;
    return new OperationTimeoutError(`no answer in ${timeoutMs} ms${path === undefined ? '' : `: ${path}`}`, { path });
  }
}
