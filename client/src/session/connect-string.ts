/**
 * The connect string: `host[:port],host[:port],…[/chroot]`, as Apache ZooKeeper's clients read it (`ConnectStringParser`,
 * `NetUtils`). An IPv6 address stands in brackets. The chroot is a path below which all of the client's paths lie.
 */
import { InvalidPathError, validatePath } from 'zookeeper-protocol-ts';
import { InvalidConnectStringError } from '../errors.ts';
import type { HostAddress } from './transport.ts';

export const DEFAULT_PORT = 2181;

export interface ConnectString {
  /** At least one, in the order of the string. */
  readonly hosts: readonly HostAddress[];
  /** A valid path, or `/` for none. */
  readonly chroot: string;
}

/** @throws InvalidConnectStringError naming the part that can't be read */
export function parseConnectString(connectString: string): ConnectString {
  if (typeof connectString !== 'string') throw new InvalidConnectStringError('the connect string must be a string');
  const slash = connectString.indexOf('/');
  const list = slash === -1 ? connectString : connectString.slice(0, slash);
  const hosts = list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => parseHost(part, connectString));
  if (hosts.length === 0) throw invalid(connectString, 'it names no host');
  return { hosts, chroot: slash === -1 ? '/' : parseChroot(connectString.slice(slash).trim(), connectString) };
}

/** `host:port`, with brackets around an IPv6 address: how a host is named in messages. */
export const hostName = ({ host, port }: HostAddress): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

function parseHost(part: string, connectString: string): HostAddress {
  const match = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(part);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) {
    throw invalid(connectString, `${JSON.stringify(part)} is not host:port (an IPv6 address needs brackets)`);
  }
  const port = match?.[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (port < 1 || port > 65_535) throw invalid(connectString, `the port of ${JSON.stringify(part)} is not 1–65535`);
  return { host, port };
}

function parseChroot(path: string, connectString: string): string {
  try {
    return validatePath(path);
  } catch (error) {
    if (!(error instanceof InvalidPathError)) throw error;
    throw invalid(connectString, `its chroot is an ${error.message}`, error);
  }
}

const invalid = (connectString: string, problem: string, cause?: Error): InvalidConnectStringError =>
  new InvalidConnectStringError(`connect string ${JSON.stringify(connectString)}: ${problem}`, { cause });
