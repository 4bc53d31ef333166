import { connect } from 'node:net';
import { ALL_ADDRESSES } from '../config.ts';
import { ExitCode } from './exit-code.ts';
import { readZooCfg } from './zoo-cfg-file.ts';

/** A server that doesn't answer within this time is as good as none. */
const PATIENCE_MS = 10_000;

/** Asks the server of a zoo.cfg for its role, and prints it as `zkServer.sh status` does. @returns the exit code */
export async function status(file: string): Promise<number> {
  const { config } = await readZooCfg(file);
  const host = config.clientPortAddress === ALL_ADDRESSES ? 'localhost' : config.clientPortAddress;
  console.log(`Client port found: ${config.clientPort}. Client address: ${host}. Client SSL: false.`);
  const mode = /^Mode: .*$/m.exec(await ask('srvr', host, config.clientPort))?.[0];
  console.log(mode ?? 'Error contacting service. It is probably not running.');
  return mode === undefined ? ExitCode.FAILED : ExitCode.OK;
}

/** The answer to a four-letter word; empty if there is none. */
async function ask(word: string, host: string, port: number): Promise<string> {
  const socket = connect({ host, port });
  socket.setTimeout(PATIENCE_MS, () => socket.destroy());
  const chunks: Buffer[] = [];
  socket.on('data', (bytes) => chunks.push(bytes));
  // Nobody there, or gone in the middle: what has arrived is what there is.
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(word);
  await closed;
  return Buffer.concat(chunks).toString();
}
