/**
 * What the client publishes through `node:diagnostics_channel`, for metrics and tracing (Curator's `TracerDriver`). Nothing is made
 * or measured for a channel that nobody subscribes to. Subscribers run at once, in the middle of things: they take note and must
 * not call the client.
 *
 *     tracing:zookeeper:request:{start,end,asyncStart,asyncEnd,error}    each request of a call, as `tracingChannel` has it
 *     zookeeper:session             each change of a session (ZooKeeper's KeeperState)
 *     zookeeper:connection-state    each change of a client's connection state
 *     zookeeper:retry               each failed attempt of the framework's
 */
import { channel, tracingChannel } from 'node:diagnostics_channel';
import type { KeeperStateName, SessionId } from 'zookeeper-protocol-ts';
import type { ConnectionState } from './connection-state.ts';
import type { RequestTrace } from './session/request-trace.ts';
import type { Clock } from './session/transport.ts';

/** The message of `tracing:zookeeper:request:*`: the same object for all events of one request. */
export interface RequestMessage extends RequestTrace {
  /** The operation's name on the wire: `getData`, `create2`, `multi`. */
  readonly operation: string;
  /** With the namespace, without the chroot. */
  readonly path: string | undefined;
  /** From the call until it was settled, ms. Undefined before that. */
  latencyMs: number | undefined;
  /** What the call resolved to; set by then. */
  result?: unknown;
  /** What it rejected with; set by then. */
  error?: unknown;
}

/** The message of `zookeeper:session`. */
export interface SessionMessage {
  readonly state: KeeperStateName | undefined;
  readonly sessionId: SessionId;
  /** `host:port`, while connected. */
  readonly server: string | undefined;
  readonly connectString: string;
}

/** The message of `zookeeper:connection-state`. */
export interface ConnectionStateMessage {
  readonly state: ConnectionState;
  readonly previous: ConnectionState | undefined;
  /** 0 without a session. */
  readonly sessionId: SessionId;
}

/** The message of `zookeeper:retry`. */
export interface RetryMessage {
  /** From 1. */
  readonly attempt: number;
  readonly elapsedMs: number;
  /** Until the next attempt; undefined when there is none. */
  readonly delayMs: number | undefined;
  readonly error: unknown;
}

const requests = tracingChannel<unknown, RequestMessage>('zookeeper:request');

/** Whether anybody wants to know of requests. (`TracingChannel` itself can say so only in later Nodes.) */
export const isTracingRequests = (): boolean =>
  requests.start.hasSubscribers ||
  requests.asyncEnd.hasSubscribers ||
  requests.error.hasSubscribers ||
  requests.end.hasSubscribers ||
  requests.asyncStart.hasSubscribers;

/** Makes a request with its events around it. `run` gets the message, for the session to fill in. */
export function traceRequest<T>(
  { operation, path, clock }: { operation: string; path: string | undefined; clock: Clock },
  run: (trace: RequestTrace) => Promise<T>,
): Promise<T> {
  const calledAt = clock.now();
  const message: RequestMessage = {
    operation,
    path,
    server: undefined,
    sessionId: undefined,
    xid: undefined,
    requestBytes: undefined,
    zxid: undefined,
    responseBytes: undefined,
    errorCode: undefined,
    latencyMs: undefined,
  };
  const timed = () =>
    run(message).finally(() => {
      message.latencyMs = clock.now() - calledAt;
    });
  return requests.tracePromise(timed, message);
}

/** A channel for messages of one type. The message is made only for somebody. */
function publisher<Message>(name: string): (toMessage: () => Message) => void {
  const messages = channel(name);
  return (toMessage) => {
    if (messages.hasSubscribers) messages.publish(toMessage());
  };
}

export const publishSession = publisher<SessionMessage>('zookeeper:session');
export const publishConnectionState = publisher<ConnectionStateMessage>('zookeeper:connection-state');
export const publishRetry = publisher<RetryMessage>('zookeeper:retry');
