/** Four-letter words: the text line by line, with every number as `#`. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Scenario, Stage } from '../scenario.ts';
import { create } from './znodes.ts';

/** Sends bytes as they are, and returns all that comes until the server closes. */
async function ask(port: number, bytes: Uint8Array): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  // A reset is an end like any other.
  socket.on('error', () => undefined);
  socket.write(bytes);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

const withoutNumbers = (line: string): string =>
  line
    .replace(/version: .*, built on .*/, 'version: one, built on a day')
    .replace(/(data(Log)?Dir)=.*/, '$1=a folder')
    .replace(/expire at .*:$/, 'expire at a time:')
    .replace(/0x[0-9a-f]+/g, '0x#')
    .replace(/-?\d+(\.\d+)?/g, '#');

/** What a word says, a line of the transcript for each of its own. */
async function say(stage: Stage, word: string, { inAnyOrder = false, keysOnly = false } = {}): Promise<void> {
  const text = await ask(stage.port, Buffer.from(word, 'latin1'));
  let lines = text.split('\n').map(withoutNumbers);
  if (keysOnly) lines = lines.map((line) => line.replace(/[=\t].*/, ''));
  if (inAnyOrder) lines = [...new Set(lines)].sort();
  for (const line of lines) stage.note(word, JSON.stringify(line));
}

const answeredScenario: Scenario = {
  name: 'four-letter words',
  run: async (stage) => {
    const client = await stage.connect();
    await create(client, `${stage.root}/e`, { flags: 1 });
    await client.do('exists', { path: `${stage.root}/watched`, watch: true });
    for (const word of ['ruok', 'isro', 'gtmk', 'srst', 'crst', 'dirs', 'wchs', 'srvr', 'conf']) await say(stage, word);
    for (const word of ['wchc', 'wchp', 'stat', 'cons', 'dump']) await say(stage, word, { inAnyOrder: true });
    await say(stage, 'envi', { inAnyOrder: true, keysOnly: true });
    await say(stage, 'stmk\0\0\0\0\0\0\u0001\u0032');
    await say(stage, 'gtmk');
  },
};

const monitorScenario: Scenario = {
  name: 'mntr: the names of what is measured',
  run: async (stage) => {
    await stage.connect();
    await say(stage, 'mntr', { inAnyOrder: true, keysOnly: true });
  },
};

const unknownScenario: Scenario = {
  name: 'words that are none',
  run: async (stage) => {
    await stage.connect();
    for (const word of ['help', 'RUOK', 'ruok\n', 'ruokruok', 'orst', 'lead', 'quit', '\r\n\r\n'])
      await say(stage, word);
  },
};

const refusedScenario: Scenario = {
  name: 'four-letter words that are not in the whitelist',
  run: async (stage) => {
    await stage.connect();
    for (const word of ['ruok', 'conf', 'isro', 'mntr', 'stat', 'dump', 'hash']) await say(stage, word);
    await say(stage, 'srvr');
  },
};

export const wordScenarios: readonly Scenario[] = [answeredScenario, monitorScenario, unknownScenario];
export const whitelistScenarios: readonly Scenario[] = [refusedScenario];
