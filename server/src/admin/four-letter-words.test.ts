import { describe, expect, test } from 'vitest';
import { OpCode, toZxid } from 'zookeeper-protocol-ts';
import { completeConfig } from '../config.ts';
import { answerFourLetterWord, fourLetterWordIn } from './four-letter-words.ts';
import { connectionWith, SESSION, viewWith } from './server-view.fixture.ts';

const answer = (word: string, view = viewWith()): string => answerFourLetterWord({ word }, view);
const whitelisting = (...words: string[]) =>
  viewWith({ config: completeConfig({ dataDir: '/data', clientPort: 2181, fourLetterWords: new Set(words) }) });

describe('a four-letter word', () => {
  test('is known by its bytes alone', () => {
    expect(fourLetterWordIn(Buffer.from('ruok'))).toBe('ruok');
    expect(fourLetterWordIn(Buffer.from('lead'))).toBeUndefined();
    expect(fourLetterWordIn(Buffer.from([0, 0, 0, 44]))).toBeUndefined();
    expect(fourLetterWordIn(undefined)).toBeUndefined();
  });

  test('is refused unless it is in the whitelist, but for srvr', () => {
    expect(answer('mntr', whitelisting('ruok'))).toBe('mntr is not executed because it is not in the whitelist.\n');
    expect(answer('ruok', whitelisting('ruok'))).toBe('imok');
    expect(answer('srvr', whitelisting())).toContain('Mode: standalone\n');
    expect(answer('ruok', whitelisting())).toContain('not in the whitelist');
  });

  test.each([
    'conf',
    'cons',
    'crst',
    'dirs',
    'dump',
    'hash',
    'isro',
    'mntr',
    'srst',
    'srvr',
    'stat',
    'wchc',
    'wchp',
    'wchs',
  ])('%s says that the server does not serve, when it does not', (word) => {
    const view = viewWith({ mode: undefined });
    expect(answer(word, view)).toBe('This ZooKeeper instance is not currently serving requests\n');
  });

  test.each(['ruok', 'envi', 'gtmk', 'stmk'])('%s is answered even then', (word) => {
    expect(answer(word, viewWith({ mode: undefined }))).not.toContain('not currently serving');
  });
});

describe('cons', () => {
  test('tells the last answer of a session, and its latencies in whole ms', () => {
    const connection = connectionWith({
      sessionId: SESSION,
      sessionTimeoutMs: 10_000,
      outstanding: 2,
      isWriting: true,
    });
    connection.statistics.packetsReceived = 4;
    connection.statistics.packetsSent = 3;
    connection.statistics.recordAnswer(OpCode.getData, 5, toZxid(0x48n), 1000, 1001.9);
    connection.statistics.recordAnswer(OpCode.addWatch, 6, toZxid(0x49n), 1010, 1015.4);
    const view = viewWith({ connections: new Set([connection]) });
    expect(answer('cons', view)).toBe(
      ' /127.0.0.1:5000[5](queued=2,recved=4,sent=3,sid=0x100003c13080001,lop=ADDW,est=1000000000,to=10000,lcxid=0x6,' +
        'lzxid=0x49,lresp=1015,llat=5,minlat=1,avglat=3,maxlat=5)\n\n',
    );
  });

  test('remembers the last request of its own behind a ping, whose xid is negative', () => {
    const connection = connectionWith({ sessionId: SESSION });
    connection.statistics.recordAnswer(OpCode.exists, 9, toZxid(1n), 0, 0);
    connection.statistics.recordAnswer(OpCode.ping, -2, toZxid(2n), 0, 0);
    expect(answer('cons', viewWith({ connections: new Set([connection]) }))).toContain('lop=PING');
    expect(answer('cons', viewWith({ connections: new Set([connection]) }))).toContain('lcxid=0x9,lzxid=0x2');
  });

  test('tells nothing of a session that there is not, and of one that was reset only what stays', () => {
    const asking = connectionWith({ isReading: false });
    const reset = connectionWith({ sessionId: SESSION });
    reset.statistics.recordAnswer(OpCode.exists, 9, toZxid(1n), 0, 7);
    const view = viewWith({ connections: new Set([asking, reset]) });
    expect(answer('crst', view)).toBe('Connection stats reset.\n');
    expect(answer('cons', view)).toBe(
      ' /127.0.0.1:5000[0](queued=0,recved=0,sent=0)\n' +
        ' /127.0.0.1:5000[1](queued=0,recved=0,sent=0,sid=0x100003c13080001,lop=NA,est=1000000000,to=0,' +
        'lzxid=0xffffffffffffffff,lresp=0,llat=0,minlat=0,avglat=0,maxlat=0)\n\n',
    );
  });
});

test('dump groups sessions and connections by when they end, on the wall clock', () => {
  const withSession = connectionWith({ sessionId: SESSION });
  const without = connectionWith({ remote: '/127.0.0.1:5001' });
  const view = viewWith({
    connections: new Set([withSession, without]),
    sessionless: new Map([[without, 9000]]),
    sessionDeadlines: [[4000, [SESSION]]],
  });
  expect(answer('dump', view)).toBe(
    [
      'SessionTracker dump:',
      'Session Sets (1)/(1):',
      '1 expire at T1000004000:',
      '\t0x100003c13080001',
      'ephemeral nodes dump:',
      'Sessions with Ephemerals (0):',
      'Connections dump:',
      'Connections Sets (2)/(2):',
      '1 expire at T1000004000:',
      '\tip: /127.0.0.1:5000 sessionId: 0x100003c13080001',
      '1 expire at T1000009000:',
      '\tip: /127.0.0.1:5001 sessionId: 0x0',
      '',
    ].join('\n'),
  );
});

test('conf tells the folders with their sizes, and the number 0 of a server alone', () => {
  expect(answer('conf')).toBe(
    [
      'clientPort=2181',
      'secureClientPort=-1',
      'dataDir=/data/version-2',
      'dataDirSize=15',
      'dataLogDir=/log/version-2',
      'dataLogSize=14',
      'tickTime=3000',
      'maxClientCnxns=60',
      'minSessionTimeout=6000',
      'maxSessionTimeout=60000',
      'clientPortListenBacklog=-1',
      'serverId=0',
      '',
    ].join('\n'),
  );
});

test('srst sets statistics and metrics back, and leaves what counts slow syncs', () => {
  const view = viewWith();
  view.statistics.packetsReceived = 5;
  view.statistics.latency.record(3);
  view.statistics.slowSyncs = 1;
  view.metrics.counters.bytes_received_count = 9;
  expect(answer('srst', view)).toBe('Server stats reset.\n');
  expect(answer('srvr', view)).toContain('Latency min/avg/max: 0/0.0/0\nReceived: 0\n');
  expect(view.metrics.counters.bytes_received_count).toBe(0);
  expect(view.statistics.slowSyncs).toBe(1);
});

test('mntr has one line for each metric, and those of summaries in parts', () => {
  const view = viewWith();
  view.metrics.summaries.updatelatency.record(4);
  const lines = answer('mntr', view).split('\n');
  expect(lines.slice(1, 4)).toEqual([
    'zk_server_state\tstandalone',
    'zk_ephemerals_count\t0',
    'zk_num_alive_connections\t0',
  ]);
  expect(lines).toContain('zk_avg_updatelatency\t4.0');
  expect(lines).toContain('zk_p999_updatelatency\t4');
  expect(lines).toContain('zk_open_file_descriptor_count\t7');
  expect(lines).toContain('zk_uptime\t1000');
  expect(lines.at(-1)).toBe('');
});
