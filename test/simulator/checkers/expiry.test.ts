import { describe, expect, it } from 'vitest';
import { OpCode, type Txn, toSessionId, toXid, toZxid } from 'zookeeper-protocol-ts';
import type { ObservedServer } from '../ensemble.ts';
import { ExpiryChecker } from './expiry.ts';

const SESSION = toSessionId(0x77n);
const TIMEOUT_MS = 1000;
const TICK_MS = 200;

const header = (zxid: bigint, type: OpCode, cxid = 0) => ({
  ...{ sessionId: SESSION, cxid: toXid(cxid), zxid: toZxid(zxid), time: 0, type },
});
const OPENED: Txn = {
  header: header(1n, OpCode.createSession),
  body: { type: OpCode.createSession, timeoutMs: TIMEOUT_MS },
  digest: undefined,
};
const closed = (cxid: number): Txn => ({
  header: header(2n, OpCode.closeSession, cxid),
  body: { type: OpCode.closeSession, paths: [] },
  digest: undefined,
});

/** A server that leads from time 0 of its clock on. */
function reign() {
  const checker = new ExpiryChecker({ tickMs: TICK_MS });
  let now = 0;
  const server = { name: 's1', now: () => now } as ObservedServer;
  checker.onRole(server, 'leader');
  const at = (ms: number) => {
    now = ms;
    return {
      heard: () => checker.onHeard(server, SESSION),
      thawed: (frozenMs: number) => checker.onThawed(server, frozenMs),
      expires: () => checker.onExpired(server, SESSION),
      leads: () => checker.onRole(server, 'leader'),
      stops: () => checker.onRole(server, undefined),
    };
  };
  const check = () => checker.check([OPENED, closed(0)]);
  return { at, check, checker };
}

describe('C2', () => {
  it('holds when a session was silent for its timeout', () => {
    const { at, check } = reign();
    at(500).heard();
    at(1500).expires();
    expect(check).not.toThrow();
  });

  it('is broken when its client was heard within its timeout', () => {
    const { at, check } = reign();
    at(500).heard();
    at(700).heard();
    at(1600).expires();
    expect(check).toThrow('C2: s1 lets 0x77 with timeout 1000 expire after 900 ms of silence');
  });

  it('is broken when the leader has not led for so long', () => {
    const { at, check } = reign();
    at(5000).stops();
    at(5100).leads();
    at(6000).expires();
    expect(check).toThrow('C2: s1 lets 0x77 with timeout 1000 expire after 900 ms of silence');
  });

  it('is broken when the leader was frozen for most of the time, and not when that was for a tick', () => {
    const frozen = reign();
    frozen.at(100).heard();
    frozen.at(1200).thawed(900);
    frozen.at(1300).expires();
    expect(frozen.check).toThrow(
      'C2: s1 lets 0x77 with timeout 1000 expire after 1200 ms of silence, 900 of them frozen',
    );
    const blinked = reign();
    blinked.at(100).heard();
    blinked.at(1000).thawed(TICK_MS);
    blinked.at(1100).expires();
    expect(blinked.check).not.toThrow();
  });

  it('leaves open what comes first of what comes in the same instant', () => {
    const { at, check } = reign();
    at(500).heard();
    at(1500).heard();
    at(1500).expires();
    expect(check).not.toThrow();
  });

  it('is broken when a session ends that neither its client nor a leader has ended', () => {
    const { checker } = reign();
    expect(() => checker.check([OPENED, closed(7)])).not.toThrow();
    expect(() => checker.check([OPENED, closed(0)])).toThrow('C2: 0x2 ends session 0x77, and nobody has decided that');
  });

  it('is broken by a server that lets a session expire and does not lead', () => {
    const { at } = reign();
    at(2000).stops();
    expect(() => at(3000).expires()).toThrow('C2: s1 lets 0x77 expire, and does not lead');
  });
});
