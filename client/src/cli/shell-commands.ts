/**
 * The commands about the shell itself: `connect`, `close`, `quit` and `exit`, `history`, `redo`, `printwatches`, `version`, `help`. The
 * original has no `help`: there any unknown word shows the usage.
 */
import type { Commands } from './command.ts';
import { CommandError } from './command-error.ts';
import { VERSION } from './version.ts';

/** How many lines `history` shows before the present one. */
const HISTORY_SHOWN = 10;

const quit: Commands[string] = {
  kind: 'shell',
  usage: '',
  words: { min: 0, max: 0 },
  async run(_typed, shell) {
    await shell.quit();
    return { json: {} };
  },
};

export const shellCommands: Commands = {
  connect: {
    kind: 'shell',
    usage: 'host:port',
    words: { min: 0, max: 1 },
    async run({ words: [connectString] }, shell) {
      await shell.connect(connectString);
      return { json: {} };
    },
  },
  close: {
    kind: 'shell',
    usage: '',
    words: { min: 0, max: 0 },
    async run(_typed, shell) {
      await shell.disconnect();
      return { json: {} };
    },
  },
  quit,
  exit: quit,
  history: {
    kind: 'shell',
    usage: '',
    words: { min: 0, max: 0 },
    async run(_typed, { history }) {
      const first = Math.max(0, history.length - 1 - HISTORY_SHOWN);
      const shown = history.slice(first).map((line, index) => ({ index: first + index, line }));
      return { out: shown.map(({ index, line }) => `${index} - ${line}`), json: { history: shown } };
    },
  },
  redo: {
    kind: 'shell',
    usage: 'cmdno',
    words: { min: 1, max: 1 },
    async run({ words: [index = ''] }, shell) {
      if (!/^\d+$/.test(index)) throw new CommandError(`not the number of a command: ${index}`);
      return shell.redo(Number(index));
    },
  },
  printwatches: {
    kind: 'shell',
    usage: 'on|off',
    words: { min: 0, max: 1 },
    async run({ words: [word] }, shell) {
      if (word !== undefined) {
        if (word !== 'on' && word !== 'off') throw new CommandError('printwatches on|off');
        shell.printsWatches = word === 'on';
      }
      const state = `printwatches is ${shell.printsWatches ? 'on' : 'off'}`;
      return { out: word === undefined ? [state] : [], json: { printWatches: shell.printsWatches } };
    },
  },
  version: {
    kind: 'shell',
    usage: '',
    words: { min: 0, max: 0 },
    async run() {
      return { out: [`ZooKeeper CLI version: curator-ts ${VERSION}`], json: { version: VERSION } };
    },
  },
  help: {
    kind: 'shell',
    usage: '',
    words: { min: 0, max: 0 },
    async run(_typed, { usage }) {
      return { err: usage, json: { usage } };
    },
  },
};
