/**
 * The command `zkcli`, with the words of the original's `zkCli.sh`: one command and its exit code, or a shell, on a terminal or behind a
 * pipe. The session is closed at the end, also at SIGINT and SIGTERM: its ephemerals go at once. (The original's lives on until it times
 * out, unless `quit` was typed.)
 */
import { constants } from 'node:os';
import { ExitCode } from './command-error.ts';
import { PROGRAM_USAGE, usageLines } from './commands.ts';
import { parseInvocation } from './invocation.ts';
import { jsonPrinter, textPrinter } from './printer.ts';
import { Shell } from './shell.ts';
import { readCommands, type Terminal } from './typing.ts';

/** Runs the command. @returns the exit code */
export async function main(words: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  const invocation = parseInvocation(words);
  switch (invocation.kind) {
    case 'help':
      terminal.output.write(`${usageLines().join('\n')}\n`);
      return ExitCode.OK;
    case 'refused':
      terminal.error.write(`${invocation.problem}\nusage: ${PROGRAM_USAGE}\n`);
      return ExitCode.BAD_INVOCATION;
    case 'shell': {
      const printer = invocation.json ? jsonPrinter(terminal) : textPrinter(terminal);
      await using shell = new Shell(invocation.options, printer);
      const { command } = invocation;
      return await untilInterrupted(shell, async (signal) => {
        if (!(await shell.isReady())) return;
        if (command.length > 0) {
          await shell.run(command);
        } else {
          printer.greet('Welcome to ZooKeeper!');
          await readCommands(shell, terminal, signal);
        }
      });
    }
  }
}

/** @returns the shell's exit code, or 128 and the number of the signal that ended it */
async function untilInterrupted(shell: Shell, work: (signal: AbortSignal) => Promise<void>): Promise<number> {
  const interruption = new AbortController();
  let interruptedBy = 0;
  const interrupt = (name: NodeJS.Signals) => {
    interruptedBy = constants.signals[name];
    interruption.abort();
    void shell.close();
  };
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  try {
    await work(interruption.signal);
    await shell.close();
    return interruptedBy === 0 ? shell.exitCode : 128 + interruptedBy;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

function processTerminal(): Terminal {
  const { stdin: input, stdout: output, stderr: error } = process;
  // Who reads may have had enough (`zkcli ls -R / | head`): that is no failure. It stays for the last write, behind the end of main.
  output.on('error', (failure: NodeJS.ErrnoException) => {
    if (failure.code !== 'EPIPE') throw failure;
  });
  return { input, output, error, isInteractive: input.isTTY === true && output.isTTY === true };
}
