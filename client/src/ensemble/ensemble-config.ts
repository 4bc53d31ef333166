/**
 * The text in `/zookeeper/config`, read for what a client needs: where to connect (Curator's `EnsembleTracker.configToConnectionString`).
 *
 *     config  = { "server." id "=" server } "version=" hex
 *     server  = address { "|" address } [ ":" role ] ";" [ client-address ":" ] client-port
 *     address = host ":" quorum-port ":" election-port            ; an IPv6 host stands in brackets
 *
 * Names stay names: they are resolved at every attempt, for the servers behind them may move (CURATOR-578, 638, 664).
 */

/**
 * `host:port,…` of the members, sorted. A member that listens on all its addresses is reached by its own host. Undefined if the text
 * names nobody, or leaves open where one of them serves clients: a list without that one may be a list without the only one that
 * can be reached. (Curator leaves such a member out.)
 */
export function toHostList(config: string): string | undefined {
  const hosts = config
    .split('\n')
    .map((line) => /^server\.\d+\s*=\s*(.+)$/.exec(line.trim())?.[1])
    .filter((server) => server !== undefined)
    .map(clientHostOf);
  return hosts.length === 0 || hosts.includes(undefined) ? undefined : hosts.sort().join(',');
}

/** Undefined for a member that tells no client port, as in a configuration of before 3.5. */
function clientHostOf(server: string): string | undefined {
  const [peer = '', client = ''] = server.split(';');
  const [, address = '', port] = /^(?:(.*):)?(\d+)$/.exec(client.trim()) ?? [];
  const own = /^(\[[^\]]+\]|[^:[\]]+):/.exec(peer.trim())?.[1];
  const host = address === '' || isWildcard(address) ? own : inBrackets(address);
  return port === undefined || host === undefined ? undefined : `${host}:${port}`;
}

const isWildcard = (address: string): boolean => address === '0.0.0.0' || /^\[?(::|0+(:0+){7})\]?$/.test(address);

const inBrackets = (address: string): string =>
  address.includes(':') && !address.startsWith('[') ? `[${address}]` : address;
