/**
 * A program that runs one recipe and says what it does, line by line, so that another program, of whatever make, can be put beside it:
 *
 *     ZK_HOSTS=127.0.0.1:2181 npm run -s peer -- lock /locks/report -1
 *
 * SESSION_MS is the session timeout. The first lines are STATE and SESSION, the last is BYE. Exits with 0 when it is done, with 1 after
 * ERROR, with 2 for arguments that it can't use, with 3 without a connection, with 4 after TIMEOUT.
 */
import { CuratorFramework, RetryNTimes } from 'zookeeper-client-ts';
import { type Command, ExitCode, Input, say, UsageError } from './conversation.ts';
import { elections } from './elections.ts';
import { locks } from './locks.ts';
import { queues } from './queues.ts';
import { values } from './values.ts';

const commands: Readonly<Record<string, Command>> = { ...locks, ...elections, ...queues, ...values };

async function run([name = '', ...args]: readonly string[]): Promise<number> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    console.error(`usage: peer COMMAND …; there are ${Object.keys(commands).join(', ')}`);
    return ExitCode.usage;
  }
  const hosts = process.env.ZK_HOSTS ?? '127.0.0.1:2181';
  const client = CuratorFramework.builder()
    .connectString(hosts)
    .sessionTimeoutMs(Number(process.env.SESSION_MS ?? 10_000))
    .connectionTimeoutMs(5000)
    .retryPolicy(new RetryNTimes(20, 250))
    .build();
  client.on('state', (state) => say('STATE', state));
  client.start();
  try {
    await client.blockUntilConnected({ timeoutMs: 20_000 });
  } catch {
    say('ERROR', `no connection to ${hosts}`);
    await client.close();
    return ExitCode.noConnection;
  }
  say('SESSION', `0x${client.sessionId.toString(16)}`);
  const code = await perform(command, { client, input: new Input(), args });
  await client.close();
  say('BYE');
  return code;
}

async function perform(command: Command, setting: Parameters<Command>[0]): Promise<number> {
  try {
    return await command(setting);
  } catch (error) {
    say('ERROR', String(error).replaceAll('\n', ' '));
    return error instanceof UsageError ? ExitCode.usage : ExitCode.error;
  }
}

// What it waits for on its input must not keep it.
process.exit(await run(process.argv.slice(2)));
