/** At whose pace history goes over the stream between leader and learner: that of the one who takes it. */
import { describe, expect, it } from 'vitest';
import { JuteWriter, quorumPacket, toZxid } from 'zookeeper-protocol-ts';
import { InvariantError } from '../invariant.ts';
import type { Stream } from '../ports.ts';
import type { LinkId } from '../zab/contract.ts';
import { type QuorumMessage, type Sender, toPacket } from '../zab/messages.ts';
import { QuorumStream } from './quorum-stream.ts';
import { SNAPSHOT_SIGNATURE } from './snapshot-stream.ts';

const KIB = 1024;

/** A stream whose other end takes what the test lets it take. */
class FakeStream implements Stream {
  readonly remote = { host: '127.0.0.1', port: 1 };
  readonly written: Uint8Array[] = [];
  queuedBytes = 0;
  isPaused = false;
  isEnded = false;

  write(bytes: Uint8Array): void {
    this.written.push(bytes);
    this.queuedBytes += bytes.length;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  close(): void {
    this.isEnded = true;
  }

  destroy(): void {
    this.isEnded = true;
  }
}

function streamTo(sender: Sender, onMessage: (message: QuorumMessage, stream: QuorumStream) => void = () => undefined) {
  const events: string[] = [];
  const turns: (() => void)[] = [];
  const fake = new FakeStream();
  const stream: QuorumStream = new QuorumStream(
    7 as LinkId,
    {
      frameBytesMax: KIB * KIB,
      onMessage: (_, message) => {
        events.push(message.kind);
        onMessage(message, stream);
      },
      onLinkClosed: (_, reason) => events.push(`closed: ${reason}`),
      onLinkWritten: () => undefined,
      onHistoryTaken: () => {
        events.push('taken');
        turns.push(() => stream.sendMore());
      },
      onHistorySent: () => events.push('sent'),
    },
    fake,
    sender,
  );
  const drain = (): void => {
    fake.queuedBytes = 0;
    stream.onDrain();
    const before = fake.written.length;
    for (const turn of turns.splice(0)) {
      // Others have their turn first.
      expect(fake.written).toHaveLength(before);
      turn();
    }
  };
  return { stream, fake, events, drain };
}

const COMMIT: QuorumMessage = { kind: 'commit', zxid: toZxid(1n) };

function* slicesOf(count: number, ended: string[] = []): Generator<Uint8Array, void, void> {
  try {
    for (let i = 0; i < count; i++) yield Buffer.alloc(64 * KIB, i);
  } finally {
    ended.push('ended');
  }
}

const wireOf = (...messages: QuorumMessage[]): Buffer => {
  const writer = new JuteWriter();
  for (const message of messages) quorumPacket.write(writer, toPacket(message));
  return Buffer.from(writer.take());
};

/** No session, no ACL, no znode. */
function emptySnapshot(): Buffer {
  const writer = new JuteWriter();
  writer.writeInt(0);
  writer.writeInt(0);
  writer.writeString('/');
  writer.writeString(SNAPSHOT_SIGNATURE);
  return Buffer.from(writer.take());
}

describe('a leader that sends history', () => {
  it('takes the next slices when the learner has taken those before, and tells of each time', () => {
    const { stream, fake, events, drain } = streamTo('learner');
    stream.sendHistory(slicesOf(5));
    expect(fake.written).toHaveLength(2);
    drain();
    expect(fake.written).toHaveLength(4);
    expect(events).toEqual(['taken']);
    drain();
    expect(fake.written).toHaveLength(5);
    expect(events).toEqual(['taken', 'taken', 'sent']);
    drain();
    expect(events).toEqual(['taken', 'taken', 'sent']);
  });

  it('sends it behind what was said before, and what is said afterwards behind it', () => {
    const { stream, fake } = streamTo('learner');
    stream.send(COMMIT);
    stream.sendHistory(slicesOf(1));
    stream.send(COMMIT);
    stream.flush();
    expect(fake.written.map(({ length }) => length)).toEqual([wireOf(COMMIT).length, 64 * KIB, wireOf(COMMIT).length]);
  });

  it('says nothing in the middle of it', () => {
    const { stream } = streamTo('learner');
    stream.sendHistory(slicesOf(5));
    expect(() => stream.send(COMMIT)).toThrow(InvariantError);
  });

  it('ends the stream when the history can not be read on, and tells why', () => {
    const { stream, fake, events, drain } = streamTo('learner');
    stream.sendHistory(
      (function* () {
        yield Buffer.alloc(300 * KIB);
        throw new Error('log.1 is gone');
      })(),
    );
    drain();
    expect(fake.isEnded).toBe(true);
    expect(events).toEqual(['taken', "closed: the history can't be read: log.1 is gone"]);
  });

  it('lets go of it when the learner goes, or has gone', () => {
    const ended: string[] = [];
    const { stream, events } = streamTo('learner');
    stream.sendHistory(slicesOf(5, ended));
    stream.onClose(undefined);
    expect(ended).toEqual(['ended']);
    const late = slicesOf(1);
    stream.sendHistory(late);
    expect(late.next().done).toBe(true);
    expect(events).toEqual(['closed: closed by the other end']);
  });
});

describe('a learner that has enough', () => {
  it('reads nothing more, not even what has arrived, and goes on where it was', () => {
    const { stream, fake, events } = streamTo('leader', (message) => {
      if (message.kind === 'commit') stream.pause();
    });
    const wire = wireOf(COMMIT, { kind: 'ping', zxid: toZxid(1n) }, { kind: 'upToDate' });
    stream.onBytes(wire.subarray(0, -3));
    expect(events).toEqual(['commit']);
    expect(fake.isPaused).toBe(true);
    // What was under way when it was paused.
    stream.onBytes(wire.subarray(-3));
    expect(events).toEqual(['commit']);
    stream.resume();
    expect(fake.isPaused).toBe(false);
    expect(events).toEqual(['commit', 'ping', 'upToDate']);
  });

  it.each([1, 7, 1000])('is paused behind a snapshot, which arrives %d bytes at a time, and loses nothing', (size) => {
    const contents: Buffer[] = [];
    const ends: string[] = [];
    const { stream, events } = streamTo('leader', (message) => {
      if (message.kind !== 'snap') return;
      stream.receiveSnapshot({
        write: (bytes) => contents.push(Buffer.from(bytes)),
        end: () => {
          ends.push('whole');
          stream.pause();
        },
      });
    });
    const wire = Buffer.concat([wireOf({ kind: 'snap', zxid: toZxid(1n) }), emptySnapshot(), wireOf(COMMIT, COMMIT)]);
    for (let at = 0; at < wire.length; at += size) stream.onBytes(wire.subarray(at, at + size));
    expect(ends).toEqual(['whole']);
    expect(events).toEqual(['snap']);
    stream.resume();
    expect(events).toEqual(['snap', 'commit', 'commit']);
    expect(Buffer.concat(contents)).toEqual(emptySnapshot().subarray(0, -14));
  });

  it('is paused in the middle of a snapshot', () => {
    let received = 0;
    const { stream, events } = streamTo('leader', () => {
      stream.receiveSnapshot({
        write: ({ length }) => {
          received += length;
        },
        end: () => events.push('whole'),
      });
    });
    stream.onBytes(wireOf({ kind: 'snap', zxid: toZxid(1n) }));
    stream.pause();
    stream.onBytes(emptySnapshot());
    expect(received).toBe(0);
    stream.resume();
    expect(events).toEqual(['snap', 'whole']);
  });

  it('may be paused and resumed twice, and by the last packet of a chunk', () => {
    const { stream, events } = streamTo('leader', () => stream.pause());
    stream.onBytes(wireOf(COMMIT));
    stream.pause();
    stream.resume();
    stream.resume();
    stream.onBytes(wireOf(COMMIT));
    expect(events).toEqual(['commit', 'commit']);
  });

  it('ends for good while it is paused', () => {
    const { stream, events } = streamTo('leader', () => stream.pause());
    stream.onBytes(wireOf(COMMIT, COMMIT));
    stream.close('over');
    stream.resume();
    expect(events).toEqual(['commit', 'closed: over']);
  });
});
