/** What goes over the stream between leader and learner, and how it ends. Its pace: `quorum-stream-pace.test.ts`. */
import { describe, expect, it } from 'vitest';
import { JuteWriter, quorumPacket, toEpoch, toServerId, toZxid } from 'zookeeper-protocol-ts';
import type { LinkId } from '../zab/contract.ts';
import { type QuorumMessage, type Sender, toPacket } from '../zab/messages.ts';
import { FakeStream } from './fake-network.fixture.ts';
import { QuorumStream } from './quorum-stream.ts';

const LINK = 7 as LinkId; // made here as agreement makes them
const MIB = 1024 * 1024;

const PROPOSAL: QuorumMessage = { kind: 'proposal', proposal: { zxid: toZxid(5n), bytes: Buffer.from('a write') } };
const COMMIT: QuorumMessage = { kind: 'commit', zxid: toZxid(5n) };
const ACK: QuorumMessage = { kind: 'ack', zxid: toZxid(5n) };
const INFO: QuorumMessage = {
  ...{ kind: 'learnerInfo', learner: toServerId(2), isVoter: true, acceptedEpoch: toEpoch(1) },
};

function wireOf(...messages: QuorumMessage[]): Buffer {
  const writer = new JuteWriter();
  for (const message of messages) quorumPacket.write(writer, toPacket(message));
  return Buffer.from(writer.take());
}

interface Heard {
  readonly messages: QuorumMessage[];
  readonly ends: string[];
  written: number;
}

/** @param onMessage what the owner does when it hears something */
function streamWith(sender: Sender, onMessage: (stream: QuorumStream) => void = () => undefined) {
  const network = new FakeStream({ host: '10.0.0.9', port: 2888 });
  const heard: Heard = { messages: [], ends: [], written: 0 };
  const stream: QuorumStream = new QuorumStream(
    LINK,
    {
      frameBytesMax: MIB,
      onMessage: (link, message) => {
        expect(link).toBe(LINK);
        heard.messages.push(message);
        onMessage(stream);
      },
      onLinkClosed: (_, reason) => heard.ends.push(reason),
      onLinkWritten: () => heard.written++,
      onHistoryTaken: () => undefined,
      onHistorySent: () => undefined,
    },
    network,
    sender,
  );
  network.handler = stream;
  return { stream, network, heard };
}

describe('packets between a leader and a learner', () => {
  it('are heard wherever the network has cut them', () => {
    const { network, heard } = streamWith('leader');
    for (const byte of wireOf(PROPOSAL, COMMIT)) network.receive(Uint8Array.of(byte));
    expect(heard.messages).toMatchObject([
      { kind: 'proposal', proposal: { zxid: 5n } },
      { kind: 'commit', zxid: 5n },
    ]);
  });

  it('leave in one piece at the end of a turn, in their order', () => {
    const { stream, network, heard } = streamWith('learner');
    stream.send(PROPOSAL);
    stream.send(COMMIT);
    expect(heard.written).toBe(2);
    expect(network.writes).toHaveLength(0);
    stream.flush();
    stream.flush();
    expect(network.writes.map((bytes) => Buffer.from(bytes))).toEqual([wireOf(PROPOSAL, COMMIT)]);
  });

  it('mean what they mean from whom they come', () => {
    const ping = wireOf({ kind: 'ping', zxid: toZxid(9n) });
    const [fromLeader, fromLearner] = [streamWith('leader'), streamWith('learner')];
    fromLeader.network.receive(ping);
    fromLearner.network.receive(ping);
    expect(fromLeader.heard.messages).toMatchObject([{ kind: 'ping' }]);
    expect(fromLearner.heard.messages).toMatchObject([{ kind: 'pong', touched: [] }]);
  });

  it('are heard no more once what they say has ended the stream', () => {
    const { network, heard } = streamWith('learner', (stream) => stream.close('said enough'));
    network.receive(wireOf(ACK, ACK, ACK));
    network.receive(wireOf(ACK));
    expect(heard.messages).toHaveLength(1);
    expect(heard.ends).toEqual(['said enough']);
  });

  it.each([
    ['a packet of an unknown type', `00000063${'00'.repeat(8)}${'ff'.repeat(8)}`, 'unknown type 99'],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: zk1:2888\r\n\r\n').toString('hex'), ''],
    ['a proposal without a transaction', `00000002${'00'.repeat(8)}${'ff'.repeat(8)}`, 'without its proposal'],
    ['more data than a packet may have', `00000002${'00'.repeat(8)}7fffffff`, ''],
    ['an introduction that is too short', `0000000b${'00'.repeat(8)}0000000200000001`.slice(0, -4), ''],
  ])('end it when they are %s', (_, hex, problem) => {
    const { network, heard } = streamWith('learner');
    network.receive(wireOf(INFO));
    network.receive(hex);
    network.receive('00'.repeat(64));
    expect(network.end).toBe('closed');
    expect(heard.messages).toHaveLength(1);
    expect(heard.ends).toEqual([expect.stringMatching(`^unreadable: .*${problem}`)]);
  });
});

describe('the end of the stream', () => {
  it('comes behind what was said', () => {
    const { stream, network, heard } = streamWith('learner');
    stream.send(COMMIT);
    stream.close('the leader steps down');
    expect(network.written).toEqual(wireOf(COMMIT));
    expect(network.end).toBe('closed');
    expect(heard.ends).toEqual(['the leader steps down']);
  });

  it('is told once, whoever ends it, and how often', () => {
    const { stream, network, heard } = streamWith('learner');
    network.finish(new Error('ECONNRESET'));
    stream.close('too late');
    network.finish();
    expect(heard.ends).toEqual(['ECONNRESET']);
    const other = streamWith('learner');
    other.network.finish();
    expect(other.heard.ends).toEqual(['closed by the other end']);
    expect(other.stream.isClosed).toBe(true);
  });

  it('is the end of all talking', () => {
    const { stream, network, heard } = streamWith('learner');
    stream.close('over');
    const { written } = heard;
    stream.send(COMMIT);
    stream.flush();
    network.receive(wireOf(ACK));
    network.drain();
    expect(network.written).toHaveLength(0);
    expect(heard.written).toBe(written);
    expect(heard.messages).toEqual([]);
  });

  it('comes at once for one who leaves 256 MiB unread, and drops them', () => {
    const { stream, network, heard } = streamWith('learner');
    network.queuedBytes = 256 * MIB;
    network.isStuck = true;
    stream.flush();
    expect(stream.isClosed).toBe(false);
    stream.send(COMMIT);
    stream.flush();
    expect(network.end).toBe('destroyed');
    expect(heard.ends).toEqual([expect.stringMatching(/^it does not read: \d+ bytes wait for it$/)]);
  });

  it('comes in the middle of a snapshot without its end being told', () => {
    const { stream, network, heard } = streamWith('leader', () =>
      stream.receiveSnapshot({ write: () => undefined, end: () => heard.ends.push('whole') }),
    );
    network.receive(wireOf({ kind: 'snap', zxid: toZxid(5n) }));
    network.receive('00000000');
    network.finish(new Error('ECONNRESET'));
    expect(heard.ends).toEqual(['ECONNRESET']);
  });

  it('comes for a snapshot that is none', () => {
    const { stream, network, heard } = streamWith('leader', () =>
      stream.receiveSnapshot({ write: () => undefined, end: () => heard.ends.push('whole') }),
    );
    network.receive(wireOf({ kind: 'snap', zxid: toZxid(5n) }));
    network.receive('0000000000000000fffffffe');
    expect(heard.ends).toEqual(['unreadable: a snapshot with a string of -2 bytes']);
    expect(network.end).toBe('closed');
  });
});
