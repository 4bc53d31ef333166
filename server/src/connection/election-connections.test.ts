import { beforeEach, describe, expect, it } from 'vitest';
import { JuteWriter, type ServerId, toServerId } from 'zookeeper-protocol-ts';
import { Ensemble, type Member } from '../ensemble.ts';
import { ElectionConnections } from './election-connections.ts';
import { FakeNetwork, FakeRunLog, type FakeStream } from './fake-network.fixture.ts';

const [ONE, TWO, THREE] = [toServerId(1), toServerId(2), toServerId(3)];
const KIB = 1024;

const memberOf = (id: number): Member => ({
  ...{ id: toServerId(id), type: 'participant' },
  ...{ quorumAddress: { host: `zk${id}`, port: 2000 + id }, electionAddress: { host: `zk${id}`, port: 3000 + id } },
});
const PORT = 3002;

/** What a server of 3.5 and later says first. */
function introduction(id: bigint, address = `zk${id}:${3000n + id}`, version = -65536n): Buffer {
  const writer = new JuteWriter();
  writer.writeLong(version);
  writer.writeLong(id);
  writer.writeString(address);
  return Buffer.from(writer.take());
}

/** What a server of 3.4 says first. */
function bareId(id: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(id);
  return bytes;
}

function framed(text: string): Buffer {
  const head = Buffer.alloc(4);
  head.writeInt32BE(text.length);
  return Buffer.concat([head, Buffer.from(text)]);
}

let network: FakeNetwork;
let runLog: FakeRunLog;
let heard: [from: ServerId, text: string][];
let unreachable: ServerId[];
let connections: ElectionConnections;
let now: number;
let strangers: number;

const SILENCE_MS = 1000;
/** What is the same for all of these servers. */
const surroundings = () => ({
  ...{ network, runLog, now: () => now, silenceMsMax: SILENCE_MS },
  onStranger: () => {
    strangers++;
  },
});

/** Server 2 of three. */
beforeEach(() => {
  network = new FakeNetwork();
  runLog = new FakeRunLog();
  heard = [];
  unreachable = [];
  now = 5000;
  strangers = 0;
  connections = new ElectionConnections({
    ...{ ...surroundings(), self: TWO, ensemble: new Ensemble({ members: [1, 2, 3].map(memberOf) }) },
    onMessage: (from, bytes) => heard.push([from, Buffer.from(bytes).toString()]),
    onUnreachable: (server) => unreachable.push(server),
  });
  connections.listen({ host: 'zk2', port: PORT }, () => undefined);
  network.bind();
});

const tell = (to: ServerId, text: string): void => connections.send(to, Buffer.from(text));

/** Somebody has come, and has said who it is. */
function come(id: bigint): FakeStream {
  const stream = network.connect(PORT);
  stream.receive(introduction(id));
  return stream;
}

describe('a server that has something to tell on the election port', () => {
  it('dials one with a smaller id, introduces itself, and tells it', () => {
    tell(ONE, 'vote');
    expect(network.dials.map(({ address }) => address)).toEqual([{ host: 'zk1', port: 3001 }]);
    const stream = network.open();
    expect(stream.written).toEqual(Buffer.concat([introduction(2n), framed('vote')]));
    tell(ONE, 'another');
    expect(stream.written.subarray(-11)).toEqual(framed('another'));
  });

  it('dials one with a larger id only to be called back, and tells it then', () => {
    tell(THREE, 'vote');
    const asking = network.open();
    expect(asking.written).toEqual(introduction(2n));
    expect(asking.end).toBe('closed');
    const callingBack = come(3n);
    expect(callingBack.written).toEqual(framed('vote'));
  });

  it('keeps its last word only for whom it can not reach yet, and dials once', () => {
    for (const text of ['first', 'second', 'third']) tell(ONE, text);
    expect(network.dials).toHaveLength(1);
    expect(network.open().written).toEqual(Buffer.concat([introduction(2n), framed('third')]));
  });

  it('dials again after a failure, when there is something to tell', () => {
    tell(ONE, 'vote');
    network.fail();
    expect(network.dials).toEqual([]);
    expect(unreachable).toEqual([ONE]);
    tell(ONE, 'vote');
    expect(network.dials).toHaveLength(1);
  });

  it('tells its last word again to whoever comes anew', () => {
    tell(THREE, 'vote');
    network.open();
    come(3n).finish();
    expect(come(3n).written).toEqual(framed('vote'));
  });

  it('introduces itself with an IPv6 address in brackets', () => {
    const ensemble = new Ensemble({
      members: [memberOf(1), { ...memberOf(2), electionAddress: { host: '::1', port: 3002 } }],
    });
    const options = {
      ...surroundings(),
      self: TWO,
      ensemble,
      onMessage: () => undefined,
      onUnreachable: () => undefined,
    };
    new ElectionConnections(options).send(ONE, Buffer.from('vote'));
    expect(network.open().written.subarray(0, 30)).toEqual(introduction(2n, '[::1]:3002'));
  });
});

describe('a server that is dialled on the election port', () => {
  it('hears one with a larger id, wherever the network cuts what it says', () => {
    const stream = network.connect(PORT);
    for (const byte of Buffer.concat([introduction(3n), framed('one'), framed('two')])) {
      stream.receive(Uint8Array.of(byte));
    }
    expect(heard).toEqual([
      [THREE, 'one'],
      [THREE, 'two'],
    ]);
  });

  it('ends the connection of one that does not say who it is, however slowly it says something else', () => {
    const [silent, slow] = [network.connect(PORT), network.connect(PORT)];
    expect(strangers).toBe(2);
    slow.receive(introduction(3n).subarray(0, 15));
    now += SILENCE_MS;
    expect(connections.nextDeadline()).toBe(now);
    connections.wake(now - 1);
    expect([silent.end, slow.end]).toEqual([undefined, undefined]);
    connections.wake(now);
    expect([silent.end, slow.end]).toEqual(['closed', 'closed']);
    expect(runLog.lines.filter((line) => line.includes('has not said on the election port'))).toHaveLength(2);
    expect(connections.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it('waits no longer for who has said who it is, has gone, or can not be understood', () => {
    const known = come(3n);
    network.connect(PORT).finish();
    network.connect(PORT).receive(introduction(3n, 'zk3:3003', -65537n));
    expect(connections.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    connections.wake(now + SILENCE_MS);
    expect(known.end).toBeUndefined();
  });

  it('ends the connection of who has not said who it is when this server stops', () => {
    const silent = network.connect(PORT);
    connections.close();
    expect(silent.end).toBe('closed');
  });

  it('hears what comes in one piece with the introduction', () => {
    network.connect(PORT).receive(Buffer.concat([introduction(3n), framed('one'), framed('two')]));
    expect(heard.map(([, text]) => text)).toEqual(['one', 'two']);
  });

  it('hears a server of 3.4, which sends its id alone', () => {
    network.connect(PORT).receive(Buffer.concat([bareId(3n), framed('vote')]));
    expect(heard).toEqual([[THREE, 'vote']]);
  });

  it('hangs up on one with a smaller id, and dials it instead', () => {
    const stream = network.connect(PORT);
    stream.receive(Buffer.concat([introduction(1n), framed('vote')]));
    expect(stream.end).toBe('closed');
    expect(heard).toEqual([]);
    const ours = network.open();
    expect(ours.remote).toEqual({ host: 'zk1', port: 3001 });
    ours.receive(framed('vote'));
    expect(heard).toEqual([[ONE, 'vote']]);
  });

  it('gives its own connection up when one with a smaller id asks for another: that one has lost it', () => {
    tell(ONE, 'vote');
    const lost = network.open();
    come(1n);
    expect(lost.end).toBe('closed');
    expect(network.open().written).toEqual(Buffer.concat([introduction(2n), framed('vote')]));
  });

  it('does not dial twice when both dial at the same time', () => {
    tell(ONE, 'vote');
    come(1n);
    expect(network.dials).toHaveLength(1);
  });

  it('calls back one that is not in its list at the address it has told', () => {
    const ensemble = new Ensemble({ members: [memberOf(1), memberOf(5)] });
    const options = { ...surroundings(), ensemble, onMessage: () => undefined, onUnreachable: () => undefined };
    const five = new ElectionConnections({ ...options, self: toServerId(5) });
    five.listen({ host: 'zk5', port: 3005 }, () => undefined);
    network.bind();
    network.connect(3005).receive(introduction(4n, '[fe80::1]:3004'));
    expect(network.dials.map(({ address }) => address)).toEqual([{ host: 'fe80::1', port: 3004 }]);
    network.connect(3005).receive(introduction(3n, 'no address'));
    expect(network.dials).toHaveLength(1);
  });

  it('has one connection with each: a new one replaces the old one, whose end means nothing then', () => {
    const [old, next] = [come(3n), come(3n)];
    expect(old.end).toBe('closed');
    old.receive(framed('late'));
    old.finish();
    expect(heard).toEqual([]);
    expect(unreachable).toEqual([]);
    tell(THREE, 'vote');
    expect(next.written).toEqual(framed('vote'));
    expect(network.dials).toEqual([]);
  });

  it('tells two observers without ids apart, and forgets them when they go', () => {
    const anonymous = 2n ** 63n - 1n;
    const [first, second] = [come(anonymous), come(anonymous)];
    first.receive(framed('one'));
    second.receive(framed('two'));
    const [[a], [b]] = heard as [[ServerId, string], [ServerId, string]];
    expect(a).not.toBe(b);
    tell(a, 'vote');
    expect(first.written).toEqual(framed('vote'));
    expect(second.written).toHaveLength(0);
    first.finish();
    tell(a, 'vote');
    expect(network.dials).toEqual([]);
  });

  it('forgets what it has told somebody who is not in its list when that one goes', () => {
    const stranger = come(9n);
    tell(toServerId(9), 'vote');
    expect(stranger.written).toEqual(framed('vote'));
    stranger.finish();
    expect(come(9n).written).toHaveLength(0);
  });

  it('refuses one that calls itself by its own number', () => {
    const stream = come(2n);
    expect(stream.end).toBe('closed');
    expect(network.dials).toEqual([]);
    expect(runLog.lines).toEqual([expect.stringContaining('calls itself server 2, as this one does')]);
  });

  it.each([
    ['an unknown version of the protocol', introduction(3n, 'zk3:3003', -65535n), 'version -65535'],
    ['an address of no length', introduction(3n, ''), 'no length'],
    ['an address that is too long', introduction(3n, 'z'.repeat(2049)), 'no length'],
    ['something else altogether', Buffer.from('\xff\xff\xff\xffGET / HTTP/1.1', 'latin1'), 'version'],
  ])('hangs up on %s', (_, bytes, problem) => {
    const stream = network.connect(PORT);
    stream.receive(bytes);
    stream.receive(framed('vote'));
    expect(stream.end).toBe('closed');
    expect(heard).toEqual([]);
    expect(runLog.lines).toEqual([expect.stringMatching(`10\\.0\\.0\\.9.* ended: unreadable: .*${problem}`)]);
  });

  it('takes messages of 512 KiB, and hangs up on a longer one before it has arrived', () => {
    const stream = come(3n);
    stream.receive(framed('x'.repeat(512 * KIB)));
    expect(heard).toHaveLength(1);
    const length = Buffer.alloc(4);
    length.writeInt32BE(512 * KIB + 1);
    stream.receive(length);
    expect(stream.end).toBe('closed');
    expect(runLog.lines).toHaveLength(1);
  });

  it('hangs up on a message of a negative length, and is as good as new for the next one', () => {
    const stream = come(3n);
    stream.receive('ffffffff');
    expect(stream.end).toBe('closed');
    come(3n).receive(framed('vote'));
    expect(heard).toEqual([[THREE, 'vote']]);
  });

  it('says that somebody can not be reached when its connection ends by itself, and only then', () => {
    come(3n).finish(new Error('reset'));
    expect(unreachable).toEqual([THREE]);
    come(3n).receive('ffffffff');
    expect(unreachable).toEqual([THREE]);
  });

  it('says nothing of one who has not introduced itself', () => {
    network.connect(PORT).finish();
    expect(unreachable).toEqual([]);
  });
});

describe('connections that are closed', () => {
  it('end, with the port', () => {
    tell(ONE, 'vote');
    const [made, taken] = [network.open(), come(3n)];
    connections.close();
    expect([made.end, taken.end]).toEqual(['closed', 'closed']);
    expect(network.isListening(PORT)).toBe(false);
  });

  it('take nothing that was under way', () => {
    tell(ONE, 'vote');
    const taken = come(3n);
    connections.close();
    taken.receive(framed('late'));
    const late = network.open();
    expect(late.end).toBe('closed');
    expect(late.written).toHaveLength(0);
    tell(ONE, 'more');
    expect(network.dials).toEqual([]);
    expect(heard).toEqual([]);
    expect(unreachable).toEqual([]);
  });

  it('do not complain about a dial that fails afterwards', () => {
    tell(ONE, 'vote');
    connections.close();
    network.fail();
    expect(unreachable).toEqual([]);
  });
});

it('says whether its port can be had', () => {
  const outcomes: (Error | null)[] = [];
  const error = new Error('EADDRINUSE');
  connections.listen({ host: 'zk2', port: 3012 }, (outcome) => outcomes.push(outcome));
  connections.listen({ host: 'zk2', port: 3022 }, (outcome) => outcomes.push(outcome));
  expect(outcomes).toEqual([]);
  network.bind({ port: 3022, error });
  expect(outcomes).toEqual([null, error]);
});
