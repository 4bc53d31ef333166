/**
 * Lines that are typed, or come through a pipe, one after the other into the shell. On a terminal: with the prompt, the keys of
 * `node:readline`, its history (in memory only: lines may hold passwords) and completion. The prompt is drawn anew below an event that
 * comes while somebody types.
 */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { commands } from './commands.ts';
import { complete } from './completion.ts';
import type { Streams } from './printer.ts';
import type { Shell } from './shell.ts';

export interface Terminal extends Streams {
  readonly input: Readable;
  /** Somebody sits there. */
  readonly isInteractive: boolean;
}

/** Resolves at the end of the input, when the shell is over, or when `signal` is aborted and the command under way has failed. */
export async function readCommands(shell: Shell, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const { input, output, isInteractive } = terminal;
  const lines = createInterface({
    input,
    signal,
    ...(isInteractive && {
      output,
      terminal: true,
      completer: (line: string, done: (error: Error | null, completion?: [string[], string]) => void) => {
        complete(line, { names: commands.keys(), zookeeper: shell.zookeeper }).then(
          (completion) => done(null, completion),
          (error: Error) => done(error),
        );
      },
    }),
  });
  let isTyping = false;
  const invite = () => {
    if (!isInteractive) return;
    lines.setPrompt(shell.prompt);
    lines.prompt(true);
    isTyping = true;
  };
  const stopListening = shell.onEvent(() => {
    if (isTyping) invite();
  });
  // The command under way fails with the session; without one, the end of the lines is enough.
  lines.on('SIGINT', () => {
    lines.close();
    void shell.close();
  });
  try {
    invite();
    for await (const line of lines) {
      isTyping = false;
      await shell.execute(line);
      if (shell.isOver || signal.aborted) break;
      invite();
    }
  } finally {
    isTyping = false;
    stopListening();
    lines.close();
  }
}
