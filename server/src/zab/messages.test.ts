import { describe, expect, it } from 'vitest';
import {
  JuteReader,
  JuteWriter,
  MarshallingError,
  QuorumPacketType,
  quorumPacket,
  toEpoch,
  toSessionId,
  toXid,
  toZxid,
} from 'zookeeper-protocol-ts';
import { type QuorumMessage, type Sender, toMessage, toPacket, writeMessage } from './messages.ts';
import { proposal, server, zxid } from './zab.fixture.ts';

const hexOf = (message: QuorumMessage): string => {
  const writer = new JuteWriter();
  quorumPacket.write(writer, toPacket(message));
  return Buffer.from(writer.take()).toString('hex');
};

const NULL = 'ffffffff';

/** Bytes as in the reference of the wire: type, zxid, data, authinfo. */
const CASES: [string, Sender, QuorumMessage, string][] = [
  [
    'FOLLOWERINFO with id, protocol and version of the configuration',
    'learner',
    { kind: 'learnerInfo', learner: server(1), isVoter: true, acceptedEpoch: toEpoch(2) },
    `0000000b0000000200000000000000140000000000000001000100000000000000000000${NULL}`,
  ],
  [
    'OBSERVERINFO',
    'learner',
    { kind: 'learnerInfo', learner: server(4), isVoter: false, acceptedEpoch: toEpoch(2) },
    `000000100000000200000000000000140000000000000004000100000000000000000000${NULL}`,
  ],
  [
    'LEADERINFO with the protocol',
    'leader',
    { kind: 'leaderInfo', epoch: toEpoch(3) },
    `0000001100000003000000000000000400010000${NULL}`,
  ],
  [
    'ACKEPOCH with the current epoch',
    'learner',
    { kind: 'ackEpoch', lastZxid: zxid(1, 5), currentEpoch: toEpoch(1) },
    `0000001200000001000000050000000400000001${NULL}`,
  ],
  [
    'ACKEPOCH with -1 for an epoch accepted before',
    'learner',
    { kind: 'ackEpoch', lastZxid: zxid(1, 5), currentEpoch: undefined },
    `00000012000000010000000500000004ffffffff${NULL}`,
  ],
  ['DIFF', 'leader', { kind: 'diff', zxid: zxid(1, 5) }, `0000000d0000000100000005${NULL}${NULL}`],
  ['TRUNC', 'leader', { kind: 'trunc', zxid: zxid(1, 5) }, `0000000e0000000100000005${NULL}${NULL}`],
  ['SNAP', 'leader', { kind: 'snap', zxid: zxid(1, 5) }, `0000000f0000000100000005${NULL}${NULL}`],
  [
    'NEWLEADER with the configuration',
    'leader',
    { kind: 'newLeader', epoch: toEpoch(2), configuration: 'v' },
    `0000000a00000002000000000000000176${NULL}`,
  ],
  ['UPTODATE', 'leader', { kind: 'upToDate' }, `0000000cffffffffffffffff${NULL}${NULL}`],
  [
    'PROPOSAL',
    'leader',
    { kind: 'proposal', proposal: proposal(2, 1) },
    `00000002000000020000000100000003322f31${NULL}`,
  ],
  ['INFORM', 'leader', { kind: 'inform', proposal: proposal(2, 1) }, `00000008000000020000000100000003322f31${NULL}`],
  ['ACK', 'learner', { kind: 'ack', zxid: zxid(2, 1) }, `000000030000000200000001${NULL}${NULL}`],
  ['COMMIT', 'leader', { kind: 'commit', zxid: zxid(2, 1) }, `000000040000000200000001${NULL}${NULL}`],
  ['PING', 'leader', { kind: 'ping', zxid: zxid(2, 1) }, `000000050000000200000001${NULL}${NULL}`],
  [
    'an answer to PING that has nothing to tell, which is empty and not null',
    'learner',
    { kind: 'pong', zxid: zxid(2, 1), touched: [] },
    `00000005000000020000000100000000${NULL}`,
  ],
  [
    'an answer to PING with a session',
    'learner',
    { kind: 'pong', zxid: zxid(2, 1), touched: [{ sessionId: toSessionId(7n), timeoutMs: 4000 }] },
    `0000000500000002000000010000000c000000000000000700000fa0${NULL}`,
  ],
  [
    'REVALIDATE',
    'learner',
    { kind: 'revalidate', sessionId: toSessionId(7n), timeoutMs: 4000 },
    `00000006ffffffffffffffff0000000c000000000000000700000fa0${NULL}`,
  ],
  [
    'the answer to REVALIDATE',
    'leader',
    { kind: 'revalidated', sessionId: toSessionId(7n), isValid: true },
    `00000006ffffffffffffffff00000009000000000000000701${NULL}`,
  ],
  [
    'REQUEST with a list of identities, also an empty one',
    'learner',
    {
      kind: 'request',
      request: { sessionId: toSessionId(7n), cxid: toXid(1), type: 1, body: Buffer.from('b'), identities: [] },
    },
    '00000001ffffffffffffffff000000110000000000000007000000010000000162' + '00000000',
  ],
  [
    'REQUEST with an identity',
    'learner',
    {
      kind: 'request',
      request: {
        ...{ sessionId: toSessionId(7n), cxid: toXid(1), type: 1, body: Buffer.alloc(0) },
        identities: [{ scheme: 'ip', id: '::1' }],
      },
    },
    '00000001ffffffffffffffff0000001000000000000000070000000100000001' + '00000001' + '000000026970' + '000000033a3a31',
  ],
  ['SYNC', 'leader', { kind: 'synced' }, `000000070000000000000000${NULL}${NULL}`],
];

describe('a message between leader and learner', () => {
  it.each(CASES)('stands on the wire as that of the original: %s', (_, sender, message, hex) => {
    expect(hexOf(message)).toBe(hex);
    const writer = new JuteWriter();
    writeMessage(writer, message);
    expect(writer.take().toString('hex')).toBe(hex);
    expect(toMessage(quorumPacket.read(new JuteReader(Buffer.from(hex, 'hex'))), sender)).toEqual(message);
  });

  const packet = (type: number, data: Uint8Array | null = null) => ({ type, zxid: toZxid(0n), data, authinfo: null });

  it.each([
    ['of an unknown type', packet(42)],
    ['that changes the members, which nobody can here', packet(QuorumPacketType.COMMITANDACTIVATE)],
    ['without what it should carry', packet(QuorumPacketType.PROPOSAL)],
    ['that is cut off', packet(QuorumPacketType.FOLLOWERINFO, Buffer.alloc(5))],
    ['of a protocol before ZAB 1.0', packet(QuorumPacketType.LEADERINFO, Buffer.alloc(4))],
  ])('is refused: one %s', (_, refused) => {
    expect(() => toMessage(refused, 'leader')).toThrow(MarshallingError);
  });

  it('of a server of 3.4 may be shorter', () => {
    const info = Buffer.from('000000000000000200010000', 'hex');
    expect(toMessage(packet(QuorumPacketType.FOLLOWERINFO, info), 'learner')).toMatchObject({ learner: 2 });
  });
});
