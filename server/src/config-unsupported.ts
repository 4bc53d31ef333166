/**
 * Settings of the original that this server knows and doesn't follow: refused where passing over one would start something
 * else than was asked for, lose data or let somebody in; of the rest it is said that they have no effect, and why.
 */

/** Refused, to be told about, in order because it asks for nothing that is missing; or undefined: not one of the original's. */
export type Verdict =
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'withoutEffect'; readonly why: string }
  | { readonly kind: 'inOrder' };

export function verdictOn(key: string, value: string): Verdict | undefined {
  const refused = REFUSED.find(({ keys }) => keys.test(key));
  if (refused !== undefined) {
    return refused.accepts?.test(value) === true ? { kind: 'inOrder' } : { kind: 'refused', why: refused.why };
  }
  const passedOver = WITHOUT_EFFECT.find(({ keys }) => keys.test(key));
  if (passedOver === undefined) return undefined;
  return passedOver.accepts?.test(value) === true
    ? { kind: 'inOrder' }
    : { kind: 'withoutEffect', why: passedOver.why };
}

interface Unsupported {
  readonly keys: RegExp;
  /** Values that ask for nothing that is missing. */
  readonly accepts?: RegExp;
  readonly why: string;
}

const REFUSED: readonly Unsupported[] = [
  {
    keys: /^dynamicConfigFile$/,
    why: 'ensembles that change while they run are not there yet: the members stand in zoo.cfg',
  },
  { keys: /^electionAlg$/, accepts: /^3$/, why: 'only 3 is supported, as in the original' },
  {
    keys: /^secureClientPort(Address)?$/,
    why: 'TLS is not there yet: clients would not find the port they expect',
  },
  {
    keys: /^(client\.portUnification|admin\.(portUnification|forceHttps|needClientAuth)|sslQuorum)$/,
    accepts: /^false$/i,
    why: 'TLS is not there yet: it would be plain text',
  },
  { keys: /^metricsProvider\.httpsPort$/, accepts: /^-1$/, why: 'TLS is not there yet: it would be plain text' },
  {
    keys: /^metricsProvider\.className$/,
    accepts:
      /^org\.apache\.zookeeper\.metrics\.(impl\.(Default|Null)MetricsProvider|prometheus\.PrometheusMetricsProvider)$/,
    why: 'not a metrics provider of the original; this server has the default one and that of Prometheus',
  },
  {
    keys: /^(sessionRequireClientSASLAuth|enforce\.auth\.enabled)$/,
    accepts: /^false$/i,
    why: 'not there yet: the server would let in clients that it should refuse',
  },
  {
    keys: /^requireClientAuthScheme$/,
    why: 'not there yet: the server would let in clients that it should refuse',
  },
  {
    keys: /^quorum\.auth\.(enableSasl|learnerRequireSasl|serverRequireSasl)$/,
    accepts: /^false$/i,
    why: 'SASL is not there yet: others would be let in',
  },
  {
    keys: /^authProvider\./,
    accepts: /^org\.apache\.zookeeper\.server\.auth\.(IP|Digest)AuthenticationProvider$/,
    why: 'a class of Java can not be loaded; this server has the schemes world, auth, digest and ip',
  },
  {
    keys: /^DigestAuthenticationProvider\.digestAlg$/,
    accepts: /^SHA-?1$/i,
    why: 'only SHA1 is there: with another, ACLs that were set would name nobody',
  },
  {
    keys: /^DigestAuthenticationProvider\.enabled$/,
    accepts: /^true$/i,
    why: 'digest authentication can not be turned off: others would be let in',
  },
  {
    keys: /^emulate353TTLNodes$/,
    accepts: /^false$/i,
    why: 'not there: containers and TTL znodes of 3.5.3 would be taken for ephemerals',
  },
  {
    keys: /^db\.autocreate$/,
    accepts: /^true$/i,
    why: 'not there yet: the server would start empty where it should not',
  },
];

const ENSEMBLE = 'has no effect: it is about an ensemble, and this server is alone';
const ONE_THREAD = 'has no effect: one thread does all the work here, and there are no queues between threads';
const NO_TLS = 'has no effect: TLS and SASL are not there yet';

const WITHOUT_EFFECT: readonly Unsupported[] = [
  { keys: /^(connectToLearnerMasterLimit|quorumListenOnAllIPs)$/, why: ENSEMBLE },
  {
    keys: /^(localSessions(Upgrading)?Enabled|syncEnabled|observerMasterPort|oraclePath|leaderServes)$/,
    why: ENSEMBLE,
  },
  { keys: /^(observer|fastleader|leader|learner|multiAddress|quorum\.cnxn)\./, why: ENSEMBLE },
  { keys: /^(cnxTimeout|quorumCnxnTimeoutMs|electionPortBindRetry|tcpKeepAlive|forceSnapshotSync)$/, why: ENSEMBLE },
  { keys: /^(enableEagerACLCheck|readonlymode\.enabled)$/, why: ENSEMBLE },
  { keys: /^(commitProcessor|nio|netty)\.|^serverCnxnFactory$|^watchManager/, why: ONE_THREAD },
  {
    keys: /^(flushDelay|maxWriteQueuePollTime|maxBatchSize)$/,
    why: 'has no effect: what arrives during a sync goes into the next one, without a timer',
  },
  {
    keys: /^max(GetChildren)?ResponseCacheSize$/,
    why: 'has no effect: responses are written straight from the tree, without a cache',
  },
  { keys: /^jvm\.pause\./, accepts: /^false$/i, why: 'has no effect: there is no Java machine to pause' },
  { keys: /^audit\./, accepts: /^false$/i, why: 'has no effect: there is no audit log yet' },
  { keys: /^pathStats\./, why: 'has no effect: there are no statistics of paths' },
  { keys: /^(ssl|sasl|quorum\.auth|kerberos|jaasLoginRenew)\b/, why: NO_TLS },
  { keys: /^(portUnification|sslQuorumReloadCertFiles|client\.certReload|admin\.httpVersion)$/, why: NO_TLS },
  {
    keys: /^(fips-mode|superUser|X509AuthenticationProvider\..*|allowSaslFailedClients|enforce\.auth\.schemes)$/,
    why: NO_TLS,
  },
  {
    keys: /^admin\.(snapshot|restore|rateLimiterIntervalInMS)/,
    why: 'has no effect: snapshot and restore over HTTP are of 3.9',
  },
  { keys: /^metricsProvider\./, why: 'has no effect: there are no worker threads' },
  {
    keys: /^closeSessionTxn\.enabled$/,
    accepts: /^true$/i,
    why: 'has no effect: the end of a session always lists the znodes that it deletes',
  },
  {
    keys: /^request_throttle_stall_time$/,
    why: 'has no effect: what waits goes on as soon as there is room, not after a time',
  },
  {
    keys: /^connection_throttle_local_session_weight$/,
    why: 'has no effect: local sessions come with ensembles',
  },
];
