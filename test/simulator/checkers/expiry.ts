/**
 * C2: nobody's session is over too early. A leader decides so only when, by its own clock, it has heard nothing of the session for
 * all of its timeout, since it leads, and not counting the time for which it was frozen: what came meanwhile it could not read.
 * And no session is closed but by its client, or by such a decision.
 */
import { OpCode, type SessionId, type Txn, toHex } from 'zookeeper-protocol-ts';
import type { Role } from '../../../server/src/quorum-peer.ts';
import type { ObservedServer, Onlooker } from '../ensemble.ts';

/** A leader while it leads, with its own times. */
interface Reign {
  readonly since: number;
  readonly heard: Map<SessionId, Heard>;
  readonly pauses: { readonly end: number; readonly ms: number }[];
}

/** When a client was heard last; what came in the same instant as something else may be behind it. */
interface Heard {
  readonly at: number;
  readonly before: number | undefined;
}

interface Decision {
  readonly session: SessionId;
  readonly server: string;
  /** So long it was silent. */
  readonly silentMs: number;
  /** Of which the leader was frozen for so long. */
  readonly frozenMs: number;
}

export class ExpiryChecker implements Onlooker {
  readonly #tickMs: number;
  readonly #reigns = new Map<ObservedServer, Reign>();
  readonly #decisions: Decision[] = [];

  /** @param tickMs a leader that is late by a tick at the most need not notice, and it looks at the clock twice in a tick */
  constructor({ tickMs }: { readonly tickMs: number }) {
    this.#tickMs = tickMs;
  }

  readonly onRole = (server: ObservedServer, role: Role | undefined): void => {
    if (role === 'leader') this.#reigns.set(server, { since: server.now(), heard: new Map(), pauses: [] });
    else this.#reigns.delete(server);
  };

  readonly onHeard = (server: ObservedServer, session: SessionId): void => {
    const reign = this.#reigns.get(server);
    if (reign === undefined) return;
    const at = server.now();
    const last = reign.heard.get(session);
    if (last?.at !== at) reign.heard.set(session, { at, before: last?.at });
  };

  readonly onThawed = (server: ObservedServer, frozenMs: number): void => {
    this.#reigns.get(server)?.pauses.push({ end: server.now(), ms: frozenMs });
  };

  readonly onExpired = (server: ObservedServer, session: SessionId): void => {
    const reign = this.#reigns.get(server);
    if (reign === undefined) throw new Error(`C2: ${server.name} lets ${toHex(session)} expire, and does not lead`);
    const now = server.now();
    const heard = reign.heard.get(session);
    const last = Math.max((heard?.at === now ? heard.before : heard?.at) ?? 0, reign.since);
    const pauses = reign.pauses.filter(({ end, ms }) => end > last && ms > 2 * this.#tickMs);
    const frozenMs = pauses.reduce((sum, { ms }) => sum + ms, 0);
    this.#decisions.push({ session, server: server.name, silentMs: now - last, frozenMs });
  };

  /** @param txns the history, all of it */
  check(txns: readonly Txn[]): void {
    const timeouts = new Map<SessionId, number>();
    for (const { header, body } of txns)
      if (body.type === OpCode.createSession) timeouts.set(header.sessionId, body.timeoutMs);
    for (const { session, server, silentMs, frozenMs } of this.#decisions) {
      const timeoutMs = timeouts.get(session);
      // It was never agreed on.
      if (timeoutMs === undefined) continue;
      if (silentMs >= timeoutMs && silentMs - frozenMs >= timeoutMs - this.#tickMs) continue;
      const silence = `${silentMs} ms of silence, ${frozenMs} of them frozen`;
      throw new Error(`C2: ${server} lets ${toHex(session)} with timeout ${timeoutMs} expire after ${silence}`);
    }
    const decided = new Set(this.#decisions.map(({ session }) => session));
    for (const { header, body } of txns) {
      const isOfServer = body.type === OpCode.closeSession && header.cxid === 0;
      if (isOfServer && !decided.has(header.sessionId))
        throw new Error(
          `C2: ${toHex(header.zxid)} ends session ${toHex(header.sessionId)}, and nobody has decided that`,
        );
    }
  }

  /** How often a session expired. */
  get decisions(): number {
    return this.#decisions.length;
  }
}
