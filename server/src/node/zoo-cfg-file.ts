import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../config.ts';
import { type ParsedZooCfg, parseZooCfg, propertiesOfJvmFlags } from '../zoo-cfg.ts';
import { PidFile } from './pid-file.ts';

/** Reads a zoo.cfg, and the system properties in JVMFLAGS and SERVER_JVMFLAGS. @throws ConfigError */
export async function readZooCfg(file: string): Promise<ParsedZooCfg> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new ConfigError(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  const flags = `${process.env.SERVER_JVMFLAGS ?? ''} ${process.env.JVMFLAGS ?? ''}`;
  return parseZooCfg(text, { file, properties: propertiesOfJvmFlags(flags), readMyid });
}

function readMyid(dataDir: string): string {
  try {
    return readFileSync(join(dataDir, 'myid'), 'utf8');
  } catch (cause) {
    throw new ConfigError(`${join(dataDir, 'myid')}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

/** In the data folder, or where ZOOPIDFILE says. */
export const pidFileOf = ({ config }: ParsedZooCfg): PidFile =>
  new PidFile(process.env.ZOOPIDFILE ?? join(config.dataDir, 'zookeeper_server.pid'));

/** Where a server in the background writes its run log: in ZOO_LOG_DIR, or in the working folder. */
export const outputFile = (): string => join(process.env.ZOO_LOG_DIR ?? '.', 'zookeeper.out');
