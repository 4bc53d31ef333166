import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseZooCfg } from './zoo-cfg.ts';

/** The keys of the original that this server does something about, or says why not: all of its documentation. */
const KEYS = `
  tickTime=1 dataDir=/d dataLogDir=/d clientPort=1 clientPortAddress=localhost clientPortListenBacklog=-1 maxClientCnxns=1
  maxCnxns=1 minSessionTimeout=-1 maxSessionTimeout=-1 initLimit=1 syncLimit=1 connectToLearnerMasterLimit=1 electionAlg=3
  peerType=participant quorumListenOnAllIPs=false standaloneEnabled=true reconfigEnabled=false localSessionsEnabled=false
  localSessionsUpgradingEnabled=false syncEnabled=true observerMasterPort=0 observer.reconnectDelayMs=0
  observer.election.DelayMs=200 oraclePath=/o leaderServes=yes cnxTimeout=5000 quorumCnxnTimeoutMs=-1 electionPortBindRetry=3
  fastleader.minNotificationInterval=200 fastleader.maxNotificationInterval=60000 leader.maxTimeToWaitForEpoch=-1
  multiAddress.enabled=false multiAddress.reachabilityCheckEnabled=true multiAddress.reachabilityCheckTimeoutMs=1000
  tcpKeepAlive=false clientTcpKeepAlive=false snapCount=100000 snapSizeLimitInKb=4194304 preAllocSize=65536
  txnLogSizeLimitInKb=-1 commitLogCount=500 snapshotSizeFactor=0.33 forceSync=yes fsync.warningthresholdms=1000 flushDelay=0
  maxWriteQueuePollTime=0 maxBatchSize=1000 autopurge.snapRetainCount=3 autopurge.purgeInterval=0 snapshot.trust.empty=false
  snapshot.compression.method= digest.enabled=true serializeLastProcessedZxid.enabled=true closeSessionTxn.enabled=true
  extendedTypesEnabled=false emulate353TTLNodes=false znode.container.checkIntervalMs=1 znode.container.maxPerMinute=10000
  znode.container.maxNeverUsedIntervalMs=0 readonlymode.enabled=false jute.maxbuffer=1000 4lw.commands.whitelist=srvr
  globalOutstandingLimit=1000 request_throttle_max_requests=0 request_throttle_stall_time=100 request_throttle_drop_stale=true
  request_stale_connection_check=true request_stale_latency_check=false throttled_op_wait_time=0 connection_throttle_tokens=0
  request_throttle=true connection_throttle_fill_time=1 connection_throttle_fill_count=1 connection_throttle_freeze_time=-1
  connection_throttle_drop_increase=0.02 connection_throttle_drop_decrease=0.002 connection_throttle_decrease_ratio=0
  connection_throttle_weight_enabled=false connection_throttle_global_session_weight=3
  connection_throttle_local_session_weight=1 connection_throttle_renew_session_weight=2
  largeRequestMaxBytes=104857600 largeRequestThreshold=-1 maxResponseCacheSize=400 maxGetChildrenResponseCacheSize=400
  enforceQuota=false enableEagerACLCheck=false skipACL=no commitProcessor.numWorkerThreads=1 commitProcessor.maxReadBatchSize=-1
  commitProcessor.maxCommitBatchSize=1 commitProcessor.shutdownTimeout=5000 nio.numSelectorThreads=1 nio.numWorkerThreads=1
  nio.directBufferBytes=65536 nio.sessionlessCnxnTimeout=10000 watchManagerName=WatchManager leader.maxConcurrentSnapSyncs=10
  leader.maxConcurrentDiffSyncs=100 learner.asyncSending=false learner.closeSocketAsync=false leader.closeSocketAsync=false
  forceSnapshotSync=false admin.enableServer=true admin.serverPort=8080 admin.serverAddress=0.0.0.0
  admin.commandURL=/commands admin.idleTimeout=30000 admin.portUnification=false admin.forceHttps=false
  admin.needClientAuth=false admin.snapshot.enabled=true admin.restore.enabled=true admin.rateLimiterIntervalInMS=300000
  metricsProvider.className=org.apache.zookeeper.metrics.impl.DefaultMetricsProvider metricsProvider.httpHost=0.0.0.0
  metricsProvider.httpPort=7000 metricsProvider.exportJvmInfo=true metricsProvider.numWorkerThreads=1
  metricsProvider.workerShutdownTimeoutMs=1000 authProvider.1=org.apache.zookeeper.server.auth.DigestAuthenticationProvider
  DigestAuthenticationProvider.enabled=true DigestAuthenticationProvider.superDigest=super:xxx
  DigestAuthenticationProvider.digestAlg=SHA1 X509AuthenticationProvider.superUser=u superUser=u ssl.authProvider=x509
  sessionRequireClientSASLAuth=false enforce.auth.enabled=false enforce.auth.schemes=sasl allowSaslFailedClients=false
  ssl.keyStore.location=/k ssl.quorum.keyStore.location=/k ssl.hostnameVerification=true sslQuorum=false portUnification=false
  sslQuorumReloadCertFiles=false client.portUnification=false client.certReload=false fips-mode=false
  quorum.auth.enableSasl=false quorum.auth.learnerRequireSasl=false quorum.auth.serverRequireSasl=false
  quorum.auth.learner.saslLoginContext=QuorumLearner quorum.auth.kerberos.servicePrincipal=x quorum.cnxn.threads.size=20
  jvm.pause.monitor=false jvm.pause.info-threshold.ms=1000 jvm.pause.warn-threshold.ms=10000 jvm.pause.sleep.time.ms=500
  audit.enable=false audit.impl.class=x datadir.autocreate=true db.autocreate=true
`
  .trim()
  .split(/\s+/);

describe('the settings of the original', () => {
  test('are all followed, or it is said why they have no effect', () => {
    const file = KEYS.join('\n');
    const { warnings } = parseZooCfg(`dataDir=/data\nclientPort=2181\n${file}\n`, { file: 'zoo.cfg' });
    expect(KEYS.length).toBeGreaterThan(140);
    expect(warnings.filter((warning) => warning.includes('does not know'))).toEqual([]);
    expect(warnings.every((warning) => /: (has no effect|is )/.test(warning))).toBe(true);
  });

  test('are all in the tables of docs/server.md, alone or with their family', () => {
    const page = readFileSync(new URL('../../docs/server.md', import.meta.url), 'utf8');
    const isThere = (key: string): boolean => {
      const families = [...key.matchAll(/[._]/g)].map(({ index }) => `\`${key.slice(0, index + 1)}*\``);
      const names = [key, key.replace(/\.\d+$/, '.N'), key.replace(/^metricsProvider/, ''), key.replace(/Name$/, '*')];
      return [...names.map((name) => `\`${name}\``), ...families].some((name) => page.includes(name));
    };
    expect(KEYS.map((setting) => setting.replace(/=.*/, '')).filter((key) => !isThere(key))).toEqual([]);
  });
});
