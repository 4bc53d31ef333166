import { describe, expect, test } from 'vitest';
import { ConfigError, completeConfig, parseZooCfg, propertiesOfJvmFlags } from './config.ts';

const MINIMAL = 'dataDir=/data\nclientPort=2181\n';
const parse = (text: string, properties: Record<string, string> = {}) =>
  parseZooCfg(text, { file: 'zoo.cfg', properties: new Map(Object.entries(properties)) });
const configOf = (more: string, properties?: Record<string, string>) => parse(MINIMAL + more, properties).config;

describe('parseZooCfg', () => {
  test('gives the defaults of the original', () => {
    const { config, warnings } = parse(MINIMAL);
    expect(config).toEqual({
      serverId: 1,
      dataDir: '/data',
      dataLogDir: '/data',
      clientPort: 2181,
      clientPortAddress: '::',
      tickTimeMs: 3000,
      minSessionTimeoutMs: 6000,
      maxSessionTimeoutMs: 60_000,
      maxClientCnxns: 60,
      sessionlessTimeoutMs: 10_000,
      frameBytesMax: 0xfffff,
      fourLetterWords: new Set(['srvr']),
      preallocateBytes: 67_108_864,
      containerCheckIntervalMs: 60_000,
    });
    expect(warnings).toEqual([]);
  });

  test('takes the sample configuration of the original without a warning', () => {
    const { config, warnings } = parse(
      '# The number of milliseconds of each tick\ntickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/tmp/zookeeper\nclientPort=2181\n',
    );
    expect(warnings).toEqual([]);
    expect(config).toMatchObject({ tickTimeMs: 2000, minSessionTimeoutMs: 4000, maxSessionTimeoutMs: 40_000 });
  });

  test('reads every setting that it knows', () => {
    const config = configOf(
      'dataLogDir=/log\nclientPortAddress=[::1]\nmaxClientCnxns=0\nminSessionTimeout=100\nmaxSessionTimeout=200\n' +
        '4lw.commands.whitelist=ruok, mntr ,*\npreAllocSize=16\nnio.sessionlessCnxnTimeout=500\njute.maxbuffer=0x400000\n' +
        'znode.container.checkIntervalMs=10\n',
    );
    expect(config).toMatchObject({
      dataLogDir: '/log',
      clientPortAddress: '::1',
      maxClientCnxns: 0,
      minSessionTimeoutMs: 100,
      maxSessionTimeoutMs: 200,
      fourLetterWords: new Set(['ruok', 'mntr', '*']),
      preallocateBytes: 16_384,
      sessionlessTimeoutMs: 500,
      frameBytesMax: 0x400000,
      containerCheckIntervalMs: 10,
    });
  });

  test('takes -1 of a session timeout for the default, and the last of a repeated key', () => {
    const config = configOf(
      'minSessionTimeout=100\nminSessionTimeout=-1\nmaxSessionTimeout=-1\ntickTime=10\ntickTime=20\n',
    );
    expect(config).toMatchObject({ tickTimeMs: 20, minSessionTimeoutMs: 40, maxSessionTimeoutMs: 400 });
  });

  test('takes system properties, and prefers what zoo.cfg says', () => {
    const properties = {
      'jute.maxbuffer': '4194304',
      'zookeeper.preAllocSize': '1',
      'zookeeper.4lw.commands.whitelist': '*',
    };
    expect(configOf('', properties)).toMatchObject({
      frameBytesMax: 4_194_304,
      preallocateBytes: 1024,
      fourLetterWords: new Set(['*']),
    });
    expect(configOf('zookeeper.preAllocSize=2\n', properties)).toMatchObject({ preallocateBytes: 2048 });
  });

  test('warns of every setting that it does not know, with its place, and of no property of others', () => {
    const { warnings } = parse(`${MINIMAL}autopurge.purgeInterval=1\nnonsense\n`, {
      'zookeeper.forceSync': 'no',
      'readonlymode.enabled': 'true',
      'zookeeper.tickTime': '5',
      'java.io.tmpdir': '/tmp',
    });
    expect(warnings).toEqual([
      '-Dzookeeper.forceSync: forceSync: ignored: this version does not know this setting',
      '-Dreadonlymode.enabled: readonlymode.enabled: ignored: this version does not know this setting',
      '-Dzookeeper.tickTime: tickTime: ignored: this is read from zoo.cfg only',
      'zoo.cfg:3: autopurge.purgeInterval: ignored: this version does not know this setting',
      'zoo.cfg:4: nonsense: ignored: this version does not know this setting',
    ]);
  });

  test.each([
    [`${MINIMAL}\ntickTime=abc`, 'zoo.cfg:4: tickTime: "abc" is not a whole number'],
    [`${MINIMAL}tickTime=1.5`, 'zoo.cfg:3: tickTime: "1.5" is not a whole number'],
    [`${MINIMAL}tickTime=`, 'zoo.cfg:3: tickTime: "" is not a whole number'],
    [`${MINIMAL}tickTime=0`, 'zoo.cfg:3: tickTime: 0 is not between 1 and 2147483647'],
    [`${MINIMAL}maxClientCnxns=99999999999`, 'zoo.cfg:3: maxClientCnxns: 99999999999 is not between 0 and 2147483647'],
    ['dataDir=/data\nclientPort=70000', 'zoo.cfg:2: clientPort: 70000 is not between 0 and 65535'],
    ['dataDir=\nclientPort=2181', 'zoo.cfg:1: dataDir: is empty'],
    ['clientPort=2181', 'zoo.cfg: dataDir is not set'],
    ['dataDir=/data', 'zoo.cfg: clientPort is not set'],
    [`${MINIMAL}a=\\u00`, 'zoo.cfg:3: \\u is not followed by four hex digits'],
    [
      `${MINIMAL}minSessionTimeout=500\nmaxSessionTimeout=400`,
      'zoo.cfg: minSessionTimeout 500 ms is above maxSessionTimeout 400 ms',
    ],
  ])('refuses %j', (text, message) => {
    expect(() => parse(text)).toThrow(ConfigError);
    expect(() => parse(text)).toThrow(message);
  });

  test('tells where each setting stands', () => {
    const { places } = parse(`${MINIMAL}\ntickTime=1\ntickTime=2\n`, { 'jute.maxbuffer': '100' });
    expect([...places]).toEqual([
      ['jute.maxbuffer', '-Djute.maxbuffer'],
      ['dataDir', 'zoo.cfg:1'],
      ['clientPort', 'zoo.cfg:2'],
      ['tickTime', 'zoo.cfg:5'],
    ]);
  });

  test('names a malformed system property', () => {
    expect(() => configOf('', { 'jute.maxbuffer': '4M' })).toThrow(
      '-Djute.maxbuffer: jute.maxbuffer: "4M" is not a whole number',
    );
  });

  test.each([
    'server.1=localhost:2888:3888',
    'group.1=1:2:3',
    'weight.1=1',
    'dynamicConfigFile=/conf/zoo.cfg.dynamic',
    'standaloneEnabled=false',
    'peerType=observer',
  ])('refuses %s: it never starts alone what should be a member', (line) => {
    expect(() => configOf(line)).toThrow(`zoo.cfg:3: ${line.slice(0, line.indexOf('='))}: ensembles are not there yet`);
  });

  test.each(['secureClientPort=2281', 'sessionRequireClientSASLAuth=true', 'enforce.auth.enabled=true'])(
    'refuses %s: it never lets in clients that should be refused',
    (line) => {
      expect(() => configOf(line)).toThrow(ConfigError);
    },
  );

  test.each(['standaloneEnabled=true', 'peerType=participant', 'enforce.auth.enabled=false'])('accepts %s', (line) => {
    expect(() => configOf(line)).not.toThrow();
  });
});

describe('completeConfig', () => {
  test('fills in the defaults around what is given', () => {
    const config = completeConfig({ dataDir: './data', clientPort: 0, tickTimeMs: 100, maxSessionTimeoutMs: 5000 });
    expect(config).toMatchObject({ dataLogDir: './data', minSessionTimeoutMs: 200, maxSessionTimeoutMs: 5000 });
  });

  test.each([
    { clientPort: -1 },
    { clientPort: 65_536 },
    { tickTimeMs: 0 },
    { tickTimeMs: 1.5 },
    { serverId: 256 },
    { frameBytesMax: 0 },
    { preallocateBytes: -1 },
    { minSessionTimeoutMs: 10, maxSessionTimeoutMs: 9 },
  ])('refuses %j', (wrong) => {
    expect(() => completeConfig({ dataDir: './data', clientPort: 2181, ...wrong })).toThrow(ConfigError);
  });
});

describe('propertiesOfJvmFlags', () => {
  test('reads each -D, quoted or not, and passes over other flags', () => {
    const flags = '-Xmx1g -Djute.maxbuffer=0x200000 "-Da=b c" -Dd=\'e f\' -Dflag -Dx=y=z';
    expect([...propertiesOfJvmFlags(flags)]).toEqual([
      ['jute.maxbuffer', '0x200000'],
      ['a', 'b c'],
      ['d', 'e f'],
      ['flag', ''],
      ['x', 'y=z'],
    ]);
  });

  test('reads nothing in nothing', () => {
    expect(propertiesOfJvmFlags('').size).toBe(0);
  });
});
