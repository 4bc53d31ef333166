/** The commands about the ensemble: `config`, `reconfig`. */
import { readFile } from 'node:fs/promises';
import { toHostList } from '../ensemble/ensemble-config.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import type { Commands } from './command.ts';
import { CommandError } from './command-error.ts';
import { statLines } from './stat-text.ts';

const RECONFIG_USAGE =
  '[-s] [-v version] [[-file path] | [-members serverID=host:port1:port2;port3[,...]*]] | ' +
  '[-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]';

export const ensembleCommands: Commands = {
  config: {
    kind: 'session',
    usage: '[-c] [-w] [-s]',
    flags: { c: 'switch', w: 'switch', s: 'switch' },
    words: { min: 0, max: 0 },
    async run({ flags }, { zookeeper, watcher }) {
      const { data, stat } = await zookeeper.getConfig({ watcher: flags.has('w') ? watcher : undefined });
      const config = data.toString('utf8');
      const version = /^version=(.*)$/m.exec(config)?.[1] ?? '';
      const servers = toHostList(config) ?? '';
      return {
        out: [flags.has('c') ? `${version} ${servers}` : config, ...(flags.has('s') ? statLines(stat) : [])],
        json: { config, version, servers, stat },
      };
    },
  },
  reconfig: {
    kind: 'session',
    usage: RECONFIG_USAGE,
    flags: { s: 'switch', v: 'value', file: 'value', members: 'value', add: 'value', remove: 'value' },
    words: { min: 0, max: 0 },
    async run({ flags }, { zookeeper }) {
      const { data, stat } = await zookeeper.reconfig(await toChange(flags));
      const config = data.toString('utf8');
      return {
        out: ['Committed new configuration:', config, ...(flags.has('s') ? statLines(stat) : [])],
        json: { config, stat },
      };
    },
  },
};

async function toChange(flags: ReadonlyMap<string, string>): Promise<Parameters<ZooKeeper['reconfig']>[0]> {
  const [file, members, add, remove] = ['file', 'members', 'add', 'remove'].map((name) => flags.get(name));
  const isWhole = file !== undefined || members !== undefined;
  const isIncremental = add !== undefined || remove !== undefined;
  if (!isWhole && !isIncremental) throw new CommandError(`reconfig ${RECONFIG_USAGE}`);
  const fromConfig = toConfigVersion(flags.get('v'));
  if (isWhole && isIncremental) {
    throw new CommandError(
      "Can't use -file or -members together with -add or -remove (mixing incremental and non-incremental modes is not allowed)",
    );
  }
  if (file !== undefined && members !== undefined) {
    throw new CommandError("Can't use -file and -members together (conflicting non-incremental modes)");
  }
  if (file !== undefined) return { newMembers: await readMembers(file), fromConfig };
  if (members !== undefined) return { newMembers: toList(members), fromConfig };
  return {
    joining: add === undefined ? undefined : toList(add),
    leaving: remove === undefined ? undefined : toList(remove),
    fromConfig,
  };
}

const toList = (text: string): string[] =>
  text
    .toLowerCase()
    .split(',')
    .map((server) => server.trim())
    .filter((server) => server !== '');

/** Versions are written in hex, as `config` shows them. */
function toConfigVersion(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  const [, sign, digits] = /^(-?)([0-9a-f]{1,16})$/i.exec(text) ?? [];
  if (digits === undefined) throw new CommandError('-v must be followed by a long (configuration version)');
  return BigInt(`0x${digits}`) * (sign === '-' ? -1n : 1n);
}

/** The lines of a dynamic configuration file that say who belongs to the ensemble, and with what weight. */
async function readMembers(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw new CommandError(`Error processing ${file}: ${cause.message}`);
  });
  const lines = text.split('\n').map((line) => line.trim());
  const members = lines.filter((line) => line !== '' && !/^[#!]/.test(line) && !line.startsWith('version='));
  const wrong = members.find((line) => !/^(server|group|weight)\.\d+\s*=\s*\S/.test(line));
  if (wrong !== undefined) throw new CommandError(`Error processing ${file}: no member of an ensemble: ${wrong}`);
  if (members.length === 0) throw new CommandError(`Error processing ${file}: it names no member of an ensemble`);
  return members;
}
