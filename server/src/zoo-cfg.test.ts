import { describe, expect, test } from 'vitest';
import { ConfigError } from './config.ts';
import { parseZooCfg, propertiesOfJvmFlags } from './zoo-cfg.ts';

const MINIMAL = 'dataDir=/data\nclientPort=2181\n';
const parse = (text: string, properties: Record<string, string> = {}) =>
  parseZooCfg(text, { file: 'zoo.cfg', properties: new Map(Object.entries(properties)) });
const configOf = (more: string, properties?: Record<string, string>) => parse(MINIMAL + more, properties).config;

describe('parseZooCfg', () => {
  test('gives the defaults of the original', () => {
    const { config, warnings } = parse(MINIMAL);
    expect(config).toEqual({
      serverId: 1,
      ensemble: undefined,
      initLimit: 10,
      syncLimit: 5,
      dataDir: '/data',
      dataLogDir: '/data',
      clientPort: 2181,
      clientPortAddress: '::',
      tickTimeMs: 3000,
      minSessionTimeoutMs: 6000,
      maxSessionTimeoutMs: 60_000,
      maxClientCnxns: 60,
      maxCnxns: 0,
      sessionlessTimeoutMs: 10_000,
      frameBytesMax: 0xfffff,
      globalOutstandingLimit: 1000,
      requestThrottleMaxRequests: 0,
      requestThrottleDropStale: true,
      staleConnectionCheck: true,
      staleLatencyCheck: false,
      connectionThrottle: {
        tokens: 0,
        fillCount: 1,
        fillTimeMs: 1,
        freezeTimeMs: -1,
        dropIncrease: 0.02,
        dropDecrease: 0.002,
        decreaseRatio: 0,
        weights: undefined,
      },
      throttledOpWaitMs: 0,
      largeRequestThreshold: -1,
      largeRequestBytesMax: 104_857_600,
      sessionsMax: 1_000_000,
      watchBytesMax: 1_073_741_824,
      connectionWatchBytesMax: 402_653_184,
      inboundBytesMax: 268_435_456,
      outboundBytesMax: 268_435_456,
      logQueuedBytesMax: 67_108_864,
      fourLetterWords: new Set(['srvr']),
      preallocateBytes: 67_108_864,
      containerCheckIntervalMs: 60_000,
      containersPerMinuteMax: 10_000,
      containerNeverUsedMsMax: 0,
      listenBacklog: -1,
      clientTcpKeepAlive: false,
      createsFolders: true,
      admin: { host: '0.0.0.0', port: 8080, commandUrl: '/commands', idleTimeoutMs: 30_000 },
      prometheus: undefined,
      initialConfiguration: MINIMAL,
      systemProperties: new Map(),
      digestEnabled: true,
      enforceQuota: false,
      extendedTypesEnabled: false,
      forceSync: true,
      logFileBytesMax: undefined,
      purgeIntervalMs: 0,
      reconfigEnabled: false,
      serializeLastZxid: true,
      skipAcl: false,
      snapCount: 100_000,
      commitLogCount: 500,
      snapshotSizeFactor: 0.33,
      snapshotCompression: 'none',
      snapshotLogBytes: 4_294_967_296,
      snapshotRetainCount: 3,
      superDigest: undefined,
      syncWarningMs: 1000,
      trustEmptySnapshot: false,
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

  test('reads the limits, under the names that the original reads', () => {
    const config = configOf(
      'maxCnxns=7\nglobalOutstandingLimit=8\nrequest_throttle_max_requests=9\nrequest_throttle_stall_time=10\n' +
        'request_throttle_drop_stale=false\nthrottled_op_wait_time=11\nlargeRequestThreshold=12\nlargeRequestMaxBytes=13\n',
    );
    expect(config).toMatchObject({
      maxCnxns: 7,
      globalOutstandingLimit: 8,
      requestThrottleMaxRequests: 9,
      requestThrottleDropStale: false,
      throttledOpWaitMs: 11,
      largeRequestThreshold: 12,
      largeRequestBytesMax: 13,
    });
  });

  test('reads how the log and the snapshots are kept, in the units of the original', () => {
    const config = configOf(
      'snapCount=50\ncommitLogCount=40\nsnapshotSizeFactor=-1.5\nsnapSizeLimitInKb=8\ntxnLogSizeLimitInKb=9\nautopurge.snapRetainCount=5\nautopurge.purgeInterval=24\n' +
        'snapshot.compression.method=gz\nsnapshot.trust.empty=true\ndigest.enabled=false\nforceSync=no\n' +
        'fsync.warningthresholdms=20\nserializeLastProcessedZxid.enabled=false\n',
    );
    expect(config).toMatchObject({
      snapCount: 50,
      commitLogCount: 40,
      snapshotSizeFactor: -1.5,
      snapshotLogBytes: 8192,
      logFileBytesMax: 9216,
      snapshotRetainCount: 5,
      purgeIntervalMs: 86_400_000,
      snapshotCompression: 'gz',
      trustEmptySnapshot: true,
      digestEnabled: false,
      forceSync: false,
      syncWarningMs: 20,
      serializeLastZxid: false,
    });
  });

  test('raises what is too little, and switches off what is not above 0, as the original does', () => {
    expect(configOf('autopurge.snapRetainCount=1\nsnapCount=0\n')).toMatchObject({
      snapshotRetainCount: 3,
      snapCount: 2,
    });
    expect(configOf('snapSizeLimitInKb=0\ntxnLogSizeLimitInKb=-1\n')).toMatchObject({
      snapshotLogBytes: undefined,
      logFileBytesMax: undefined,
    });
  });

  test.each([
    ['0', 0],
    ['90ms', 90],
    ['2m', 120_000],
    ['3d', 259_200_000],
  ])('takes %s for the interval of the purge', (value, ms) => {
    expect(configOf(`autopurge.purgeInterval=${value}\n`).purgeIntervalMs).toBe(ms);
  });

  test.each([
    'autopurge.purgeInterval=often',
    'autopurge.purgeInterval=-1',
    'snapshot.compression.method=zip',
    'snapCount=many',
  ])('refuses %s', (line) => {
    expect(() => configOf(`${line}\n`)).toThrow(ConfigError);
  });

  test('reads what is allowed to clients, under the names that the original reads', () => {
    const config = configOf(
      'extendedTypesEnabled=true\nenforceQuota=TRUE\nreconfigEnabled=true\nskipACL=yes\n' +
        'DigestAuthenticationProvider.superDigest=super:hash=\n' +
        'znode.container.maxPerMinute=7\nznode.container.maxNeverUsedIntervalMs=8\n',
    );
    expect(config).toMatchObject({
      extendedTypesEnabled: true,
      enforceQuota: true,
      reconfigEnabled: true,
      skipAcl: true,
      superDigest: 'super:hash=',
      containersPerMinuteMax: 7,
      containerNeverUsedMsMax: 8,
    });
  });

  test('checks ACLs and quotas as usual for any other word than the original understands', () => {
    expect(configOf('skipACL=true\nenforceQuota=yes\nextendedTypesEnabled=1\n')).toMatchObject({
      skipAcl: false,
      enforceQuota: false,
      extendedTypesEnabled: false,
    });
  });

  test.each(['DigestAuthenticationProvider.digestAlg=SHA-256', 'DigestAuthenticationProvider.enabled=false'])(
    'refuses %s, which would let in others',
    (line) => {
      expect(() => configOf(`${line}\n`)).toThrow(ConfigError);
    },
  );

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

  test('warns of every setting that it does not know or follow, with its place, and of no property of others', () => {
    const { warnings } = parse(`${MINIMAL}nio.numWorkerThreads=1\nnonsense\n`, {
      'readonlymode.enabled': 'true',
      'zookeeper.tickTime': '5',
      'java.io.tmpdir': '/tmp',
    });
    expect(warnings).toEqual([
      '-Dreadonlymode.enabled: readonlymode.enabled: has no effect: it is about an ensemble, and this server is alone',
      '-Dzookeeper.tickTime: tickTime: ignored: this is read from zoo.cfg only',
      'zoo.cfg:3: nio.numWorkerThreads: has no effect: one thread does all the work here, and there are no queues between threads',
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
    ['group.1=1:2:3', 'groups and weights'],
    ['weight.1=1', 'groups and weights'],
    ['dynamicConfigFile=/conf/zoo.cfg.dynamic', 'the members stand in zoo.cfg'],
    ['standaloneEnabled=false', 'no server lines'],
    ['peerType=observer', 'nobody to observe'],
  ])('refuses %s: it never starts alone what should be a member', (line, why) => {
    expect(() => configOf(line)).toThrow(ConfigError);
    expect(() => configOf(line)).toThrow(why);
  });

  test('runs one server alone that stands in the list by itself, as the original does', () => {
    expect(configOf('server.1=localhost:2888:3888').ensemble).toBeUndefined();
  });

  describe('of an ensemble', () => {
    const SERVERS =
      'server.1=zk1:2888:3888\nserver.2=[::1]:2888:3888:participant;2182\nserver.3=zk3:2888:3888:observer;0.0.0.0:2183';
    const member = (lines: string, myid = '2') =>
      parseZooCfg(`${MINIMAL}${lines}`, { file: 'zoo.cfg', readMyid: () => `${myid}\n` }).config;

    test('reads members, limits and its own number', () => {
      const { ensemble, serverId, initLimit, syncLimit } = member(`${SERVERS}\ninitLimit=7\nsyncLimit=3`);
      expect({ serverId, initLimit, syncLimit }).toEqual({ serverId: 2, initLimit: 7, syncLimit: 3 });
      expect(ensemble?.voters).toEqual([1, 2]);
      expect(ensemble?.text.split('\n')).toEqual([
        'server.1=zk1:2888:3888:participant',
        'server.2=[::1]:2888:3888:participant;0.0.0.0:2182',
        'server.3=zk3:2888:3888:observer;0.0.0.0:2183',
        'version=0',
      ]);
    });

    test('takes the client port of its own line where there is no other', () => {
      const options = { file: 'zoo.cfg', readMyid: () => '3' };
      const { clientPort, clientPortAddress } = parseZooCfg(`dataDir=/data\n${SERVERS}`, options).config;
      expect({ clientPort, clientPortAddress }).toEqual({ clientPort: 2183, clientPortAddress: '0.0.0.0' });
    });

    test('counts by groups and weights', () => {
      const { ensemble } = member(`${SERVERS.replace(':observer', '')}\ngroup.1=1:2\ngroup.2=3\nweight.1=0`);
      expect(ensemble?.hasQuorum((id) => id === 2 || id === 3)).toBe(true);
      expect(ensemble?.hasQuorum((id) => id === 1 || id === 3)).toBe(false);
    });

    test.each([
      ['server.1=zk1:2888:3888\nserver.01=zk2:2888:3888', 'zoo.cfg:4: server 1 stands here twice'],
      ['server.1=zk1:2888', 'zoo.cfg:3: "zk1:2888" is not host:port:port'],
      ['server.x=zk1:2888:3888', 'zoo.cfg:3: the number behind the dot'],
      ['server.1=zk1:2888:3888|zk1b:2888:3888', 'several addresses'],
      ['server.1=zk1:2888:38888888', 'is not a port'],
      ['server.1=zk1:2888:3888:observer\nserver.2=zk2:2888:3888:observer', 'nobody votes'],
      [`${SERVERS}\ngroup.1=1`, 'server 2 votes and is in no group'],
      [`${SERVERS}\ngroup.1=1:2\ngroup.2=2`, 'in another group already'],
      [`${SERVERS}\npeerType=observer`, 'peerType is observer, and server.2 is participant'],
    ])('refuses %j', (lines, why) => {
      expect(() => member(lines)).toThrow(ConfigError);
      expect(() => member(lines)).toThrow(why);
    });

    test.each([
      ['', '"" is not the number of a server'],
      ['two', '"two" is not the number of a server'],
      ['9', 'zoo.cfg has no server.9'],
    ])('refuses the number %j', (myid, why) => {
      expect(() => member(SERVERS, myid)).toThrow(why);
    });
  });

  test.each(['secureClientPort=2281', 'sessionRequireClientSASLAuth=true', 'enforce.auth.enabled=true'])(
    'refuses %s: it never lets in clients that should be refused',
    (line) => {
      expect(() => configOf(line)).toThrow(ConfigError);
    },
  );

  test.each([
    'standaloneEnabled=true',
    'peerType=participant',
    'enforce.auth.enabled=false',
    'electionAlg=3',
    'authProvider.1=org.apache.zookeeper.server.auth.DigestAuthenticationProvider',
    'metricsProvider.className=org.apache.zookeeper.metrics.impl.DefaultMetricsProvider',
  ])('accepts %s without a word', (line) => {
    expect(parse(MINIMAL + line).warnings).toEqual([]);
  });

  test.each([
    ['electionAlg=0', 'only 3 is supported'],
    ['client.portUnification=true', 'TLS is not there yet'],
    ['admin.forceHttps=true', 'TLS is not there yet'],
    ['metricsProvider.httpsPort=7001', 'TLS is not there yet'],
    ['metricsProvider.className=com.example.Provider', 'not a metrics provider of the original'],
    ['authProvider.1=com.example.Provider', 'a class of Java can not be loaded'],
    ['emulate353TTLNodes=true', 'would be taken for ephemerals'],
    ['db.autocreate=false', 'would start empty'],
    ['admin.commandURL=commands', '"commands" is not a path of a URL'],
    ['admin.enableServer=yes', '"yes" is neither true nor false'],
    ['admin.serverPort=70000', '70000 is not between 0 and 65535'],
  ])('refuses %s with its reason', (line, reason) => {
    expect(() => configOf(line)).toThrow(ConfigError);
    expect(() => configOf(line)).toThrow(reason);
  });

  test('reads where administrators ask', () => {
    const config = configOf(
      'admin.serverAddress=[::1]\nadmin.serverPort=9090\nadmin.commandURL=/zk\nadmin.idleTimeout=100\n' +
        'metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n' +
        'metricsProvider.httpHost=127.0.0.1\nmetricsProvider.httpPort=7070\nmetricsProvider.exportJvmInfo=false\n' +
        'clientPortListenBacklog=16\nclientTcpKeepAlive=true\ndatadir.autocreate=false\n',
    );
    expect(config).toMatchObject({
      admin: { host: '::1', port: 9090, commandUrl: '/zk', idleTimeoutMs: 100 },
      prometheus: { host: '127.0.0.1', port: 7070, withProcess: false },
      listenBacklog: 16,
      clientTcpKeepAlive: true,
      createsFolders: false,
    });
  });

  test('has no AdminServer where it is turned off, and no Prometheus where another provider is asked for', () => {
    const config = configOf(
      'admin.enableServer=false\nadmin.serverPort=9090\nmetricsProvider.httpPort=7070\n' +
        'metricsProvider.className=org.apache.zookeeper.metrics.impl.DefaultMetricsProvider\n',
    );
    expect(config).toMatchObject({ admin: undefined, prometheus: undefined });
  });

  test('keeps the text and the system properties as they were given, for an administrator', () => {
    const config = configOf('zookeeper.preAllocSize=2\nnonsense=x\n', {
      'jute.maxbuffer': '100',
      'zookeeper.preAllocSize': '1',
    });
    expect(config.initialConfiguration).toBe(`${MINIMAL}zookeeper.preAllocSize=2\nnonsense=x\n`);
    expect([...config.systemProperties]).toEqual([
      ['jute.maxbuffer', '100'],
      ['zookeeper.preAllocSize', '2'],
      ['zookeeper.nonsense', 'x'],
    ]);
  });
});

describe('connection_throttle_*', () => {
  test('is what connections are throttled by; weights count when they are enabled', () => {
    const text =
      'connection_throttle_tokens=10\nconnection_throttle_fill_time=100\nconnection_throttle_fill_count=2\n' +
      'connection_throttle_freeze_time=50\nconnection_throttle_drop_increase=0.5\nconnection_throttle_drop_decrease=0.25\n' +
      'connection_throttle_decrease_ratio=0.1\nconnection_throttle_renew_session_weight=5\n';
    const { connectionThrottle } = configOf(text);
    expect(connectionThrottle).toEqual({
      tokens: 10,
      fillCount: 2,
      fillTimeMs: 100,
      freezeTimeMs: 50,
      dropIncrease: 0.5,
      dropDecrease: 0.25,
      decreaseRatio: 0.1,
      weights: undefined,
    });
    const weighted = configOf(`${text}connection_throttle_weight_enabled=true\n`).connectionThrottle;
    expect(weighted.weights).toEqual({ created: 3, renewed: 5 });
  });

  test.each([
    ['connection_throttle_tokens=-1', /connection_throttle_tokens: -1 is not between 0/],
    ['connection_throttle_drop_increase=2', /"2" is not a number from 0 to 1/],
    ['connection_throttle_drop_increase=', /"" is not a number from 0 to 1/],
    ['snapshotSizeFactor=', /"" is not a number/],
    ['snapshotSizeFactor=third', /"third" is not a number/],
    ['connection_throttle_fill_time=0', /0 is not between 1/],
  ])('is refused with %s', (line, message) => {
    expect(() => configOf(line)).toThrow(message);
  });
});

test('the limits that the original does not have are set like its own', () => {
  const { config, warnings } = parse(`${MINIMAL}sessionsMax=5\nwatchBytesMax=6\noutboundBytesMax=8000000000\n`);
  expect(config).toMatchObject({ sessionsMax: 5, watchBytesMax: 6, outboundBytesMax: 8_000_000_000 });
  expect(warnings).toEqual([]);
});

test('request_throttle=false turns the request throttle off, whatever its limit', () => {
  expect(configOf('request_throttle_max_requests=5\n').requestThrottleMaxRequests).toBe(5);
  expect(configOf('request_throttle_max_requests=5\nrequest_throttle=false\n').requestThrottleMaxRequests).toBe(0);
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
