import { NO_SESSION, toHex } from 'zookeeper-protocol-ts';
import { shortNameOf } from './connection-statistics.ts';
import { Decimal } from './decimal.ts';
import { monitorValues } from './monitor.ts';
import {
  type ConnectionView,
  environmentOf,
  foldersOf,
  interestOf,
  NOT_SERVING,
  type ServerView,
  serverIdOf,
  watchCounts,
} from './server-view.ts';
import { FULL_VERSION } from './version.ts';

/**
 * The administrator's words: four plain characters as the first bytes of a connection, answered with text (the original's
 * `FourLetterCommands`). A word is executed only if it is in `4lw.commands.whitelist`. The texts are the original's to the
 * byte: scripts cut numbers out of them.
 */

export const FOUR_LETTER_WORD_BYTES = 4;

/** Behind `stmk`: the mask, a long. */
export const TRACE_MASK_BYTES = 8;

/** A word, and what comes with it. */
export interface FourLetterWord {
  readonly word: string;
  /** Only of `stmk`. */
  readonly traceMask?: bigint;
}

/** All words of the original: any other four bytes are the length of a frame. */
const KNOWN: ReadonlySet<string> = new Set([
  ...['conf', 'cons', 'crst', 'dirs', 'dump', 'envi', 'gtmk', 'hash', 'isro'],
  ...['mntr', 'ruok', 'srst', 'srvr', 'stat', 'stmk', 'wchc', 'wchp', 'wchs'],
]);

/** The word that a connection starts with, or undefined if these bytes are not, or not yet, one. */
export function fourLetterWordIn(start: Buffer | undefined): string | undefined {
  const word = start?.toString('latin1');
  return word !== undefined && KNOWN.has(word) ? word : undefined;
}

/** The answer to a known word, or the refusal of one that is not in the whitelist. */
export function answerFourLetterWord({ word, traceMask }: FourLetterWord, view: ServerView): string {
  if (!isEnabled(word, view.config.fourLetterWords)) {
    return `${word} is not executed because it is not in the whitelist.\n`;
  }
  switch (word) {
    case 'ruok':
      return 'imok';
    case 'envi':
      return environment(view);
    case 'gtmk':
      return String(view.statistics.traceMask);
    case 'stmk':
      if (traceMask !== undefined) view.statistics.traceMask = traceMask;
      return String(view.statistics.traceMask);
  }
  if (view.mode === undefined) return `${NOT_SERVING}\n`;
  switch (word) {
    case 'conf':
      return configuration(view);
    case 'cons':
      return connections(view);
    case 'crst':
      for (const { statistics } of view.connections) statistics.reset();
      return 'Connection stats reset.\n';
    case 'dirs':
      return directories(view);
    case 'dump':
      return dump(view);
    case 'hash':
      return view.database.digestLog
        .map(({ zxid, digest }) => `${zxid.toString(16)}: ${BigInt.asIntN(64, digest)}\n`)
        .join('');
    case 'isro':
      return 'rw';
    case 'mntr':
      return [...monitorValues(view)].map(([name, value]) => `zk_${name}\t${value}\n`).join('');
    case 'srst':
      view.statistics.reset();
      view.metrics.reset();
      return 'Server stats reset.\n';
    case 'srvr':
      return `Zookeeper version: ${FULL_VERSION}\n${figures(view)}`;
    case 'stat':
      return `Zookeeper version: ${FULL_VERSION}\n${clients(view)}${figures(view)}`;
    case 'wchc':
      return watchesBySession(view);
    case 'wchp':
      return watchesByPath(view);
    default:
      return watchSummary(view);
  }
}

/** `srvr` is always there: `zkServer.sh status` asks it. */
const isEnabled = (word: string, whitelist: ReadonlySet<string>): boolean =>
  word === 'srvr' || whitelist.has(word) || whitelist.has('*');

function figures({ statistics, connections: { size }, outstanding, database, mode }: ServerView): string {
  const { min, max, average } = statistics.latency;
  const proposals = statistics.proposalSizes;
  return lines(
    `Latency min/avg/max: ${min}/${new Decimal(average)}/${max}`,
    `Received: ${statistics.packetsReceived}`,
    `Sent: ${statistics.packetsSent}`,
    `Connections: ${size}`,
    `Outstanding: ${outstanding}`,
    `Zxid: ${toHex(database.lastZxid)}`,
    `Mode: ${mode}`,
    `Node count: ${database.tree.nodeCount}`,
    ...(mode === 'leader' ? [`Proposal sizes last/min/max: ${proposals.last}/${proposals.min}/${proposals.max}`] : []),
  );
}

const clients = (view: ServerView): string =>
  `Clients:\n${[...view.connections].map((connection) => `${brief(connection)})\n`).join('')}\n`;

const connections = (view: ServerView): string =>
  `${[...view.connections].map((connection) => `${brief(connection)}${ofSession(connection)})\n`).join('')}\n`;

const brief = (connection: ConnectionView): string => {
  const { remote, outstanding, statistics } = connection;
  const interest = interestOf(connection).toString(16);
  return ` ${remote}[${interest}](queued=${outstanding},recved=${statistics.packetsReceived},sent=${statistics.packetsSent}`;
};

function ofSession({ sessionId, sessionTimeoutMs, statistics }: ConnectionView): string {
  if (sessionId === NO_SESSION) return '';
  const { latency, lastXid, lastZxid } = statistics;
  return [
    `,sid=${toHex(sessionId)}`,
    `,lop=${shortNameOf(statistics.lastOperation)}`,
    `,est=${Math.floor(statistics.establishedAt)}`,
    `,to=${sessionTimeoutMs}`,
    lastXid < 0 ? '' : `,lcxid=0x${lastXid.toString(16)}`,
    `,lzxid=${toHex(lastZxid ?? -1n)}`,
    `,lresp=${Math.floor(statistics.lastResponseAt)}`,
    `,llat=${Math.floor(statistics.lastLatencyMs)}`,
    `,minlat=${latency.min},avglat=${latency.average},maxlat=${latency.max}`,
  ].join('');
}

function configuration(view: ServerView): string {
  const { config, clientPort } = view;
  const { dataDir, dataDirBytes, dataLogDir, dataLogBytes } = foldersOf(view);
  return lines(
    `clientPort=${clientPort}`,
    'secureClientPort=-1',
    `dataDir=${dataDir}`,
    `dataDirSize=${dataDirBytes}`,
    `dataLogDir=${dataLogDir}`,
    `dataLogSize=${dataLogBytes}`,
    `tickTime=${config.tickTimeMs}`,
    `maxClientCnxns=${config.maxClientCnxns}`,
    `minSessionTimeout=${config.minSessionTimeoutMs}`,
    `maxSessionTimeout=${config.maxSessionTimeoutMs}`,
    `clientPortListenBacklog=${config.listenBacklog}`,
    `serverId=${serverIdOf(view)}`,
  ).concat(membership(view));
}

/** What `conf` tells of an ensemble: nothing ends its last line. */
function membership({ config, ensemble: view }: ServerView): string {
  const member = view?.ensemble.member(view.self);
  if (view === undefined || member === undefined) return '';
  return lines(
    `initLimit=${config.initLimit}`,
    `syncLimit=${config.syncLimit}`,
    'electionAlg=3',
    `electionPort=${member.electionAddress.port}`,
    `quorumPort=${member.quorumAddress.port}`,
    `peerType=${member.type === 'participant' ? 0 : 1}`,
    'membership: ',
  ).concat(view.ensemble.text);
}

function directories(view: ServerView): string {
  const { dataDirBytes, dataLogBytes } = foldersOf(view);
  return lines(`datadir_size: ${dataDirBytes}`, `logdir_size: ${dataLogBytes}`);
}

const environment = ({ machine }: ServerView): string =>
  lines('Environment:', ...environmentOf(machine).map(([name, value]) => `${name}=${value}`));

function dump(view: ServerView): string {
  const { database, sessionDeadlines } = view;
  const sessionCount = sessionDeadlines.reduce((count, [, sessions]) => count + sessions.length, 0);
  const owners = [...database.tree.sessionsWithEphemerals()];
  const byDeadline = connectionsByDeadline(view);
  return lines(
    'SessionTracker dump:',
    `Session Sets (${sessionDeadlines.length})/(${sessionCount}):`,
    ...sessionDeadlines.flatMap(([deadline, sessions]) => [
      expiry(view, sessions.length, deadline),
      ...sessions.map((sessionId) => `\t${toHex(sessionId)}`),
    ]),
    'ephemeral nodes dump:',
    `Sessions with Ephemerals (${owners.length}):`,
    ...owners.flatMap((sessionId) => [
      `${toHex(sessionId)}:`,
      ...database.tree.ephemeralsOf(sessionId).map((path) => `\t${path}`),
    ]),
    'Connections dump:',
    `Connections Sets (${byDeadline.length})/(${view.connections.size}):`,
    ...byDeadline.flatMap(([deadline, at]) => [
      expiry(view, at.length, deadline),
      ...at.map(({ remote, sessionId }) => `\tip: ${remote} sessionId: ${toHex(sessionId)}`),
    ]),
  );
}

const expiry = ({ machine, now, wallTime }: ServerView, count: number, deadline: number): string =>
  `${count} expire at ${machine.formatTime(wallTime + deadline - now)}:`;

/** A connection ends with its session; one without a session, when it has to have one. Earliest first. */
function connectionsByDeadline(view: ServerView): [deadline: number, connections: ConnectionView[]][] {
  const deadlineOf = new Map(
    view.sessionDeadlines.flatMap(([deadline, sessions]) => sessions.map((id) => [id, deadline])),
  );
  const groups = new Map<number, ConnectionView[]>();
  for (const connection of view.connections) {
    // A session that is closing has no deadline left.
    const deadline = view.sessionless.get(connection) ?? deadlineOf.get(connection.sessionId) ?? view.now;
    const group = groups.get(deadline);
    if (group === undefined) groups.set(deadline, [connection]);
    else group.push(connection);
  }
  return [...groups].sort(([a], [b]) => a - b);
}

function watchSummary({ watches }: ServerView): string {
  const counts = watchCounts(watches);
  return lines(`${counts.connections} connections watching ${counts.paths} paths`, `Total watches:${counts.watches}`);
}

const watchesBySession = ({ watches }: ServerView): string =>
  lines(
    ...[...watches.bySession()].flatMap(([sessionId, paths]) => [
      toHex(sessionId),
      ...paths.map((path) => `\t${path}`),
    ]),
    '',
  );

const watchesByPath = ({ watches }: ServerView): string =>
  lines(...[...watches.byPath()].flatMap(([path, sessions]) => [path, ...sessions.map((id) => `\t${toHex(id)}`)]), '');

const lines = (...all: readonly string[]): string => `${all.join('\n')}\n`;
