/** All commands, by the names that are typed. (The original's `CommandFactory`, and the few that its `ZooKeeperMain` does itself.) */
import { aclCommands } from './acl-commands.ts';
import type { Command } from './command.ts';
import { ensembleCommands } from './ensemble-commands.ts';
import { quotaCommands } from './quota-commands.ts';
import { readCommands } from './read-commands.ts';
import { shellCommands } from './shell-commands.ts';
import { watchCommands } from './watch-commands.ts';
import { writeCommands } from './write-commands.ts';

export const commands: ReadonlyMap<string, Command> = new Map(
  Object.entries({
    ...aclCommands,
    ...ensembleCommands,
    ...quotaCommands,
    ...readCommands,
    ...shellCommands,
    ...watchCommands,
    ...writeCommands,
  }).sort(([one], [other]) => (one < other ? -1 : 1)),
);

/** `get [-s] [-w] path` */
export const usageOf = (name: string, { usage }: Command): string => `${name} ${usage}`.trimEnd();

export const PROGRAM_USAGE =
  'zkcli [-server host:port[,host:port...][/chroot]] [-timeout ms] [-r] [-waitforconnection] [--json] [cmd args]';

/** The program's line, and a line for each command. */
export const usageLines = (): string[] => [
  PROGRAM_USAGE,
  ...[...commands].map(([name, command]) => `\t${usageOf(name, command)}`),
];
