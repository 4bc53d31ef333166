/** The commands about watches: `addWatch`, `removewatches`. One-shot watches are left by `get -w`, `ls -w`, `stat -w` and `config -w`. */
import { WatcherType } from 'zookeeper-protocol-ts';
import { type Commands, firstWord } from './command.ts';
import { CommandError } from './command-error.ts';

const ADD_WATCH_USAGE =
  '[-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is PERSISTENT_RECURSIVE';

export const watchCommands: Commands = {
  addWatch: {
    kind: 'session',
    usage: ADD_WATCH_USAGE,
    flags: { m: 'value' },
    words: { min: 1, max: 1 },
    async run(typed, { zookeeper, watcher }) {
      const path = firstWord(typed);
      const mode = (typed.flags.get('m') ?? 'PERSISTENT_RECURSIVE').toUpperCase();
      if (mode !== 'PERSISTENT' && mode !== 'PERSISTENT_RECURSIVE')
        throw new CommandError(`addWatch ${ADD_WATCH_USAGE}`);
      await zookeeper.addWatch(path, watcher, { recursive: mode === 'PERSISTENT_RECURSIVE' });
      return { json: { path, mode } };
    },
  },
  removewatches: {
    kind: 'session',
    usage: 'path [-c|-d|-a] [-l]',
    flags: { c: 'switch', d: 'switch', a: 'switch', l: 'switch' },
    words: { min: 1, max: 1 },
    async run(typed, { zookeeper }) {
      const path = firstWord(typed);
      const { flags } = typed;
      const type = flags.has('c') ? WatcherType.Children : flags.has('d') ? WatcherType.Data : WatcherType.Any;
      await zookeeper.removeWatches(path, { type, local: flags.has('l') });
      return { json: { path } };
    },
  },
};
