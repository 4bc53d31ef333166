/** Runs the shipped server in a simulated process. */
import { parseZooCfg, Server, type ServerOptions } from 'zookeeper-server-ts';
import { systemHash } from '../../server/src/node/system-hash.ts';
import type { Process } from './process.ts';

export interface StartServerOptions {
  /** Its number in an ensemble. */
  readonly myid?: number;
  /** Lines of zoo.cfg; `dataDir` and `clientPort=2181` are there already. */
  readonly zooCfg?: readonly string[];
  /** A log file of the size of its contents shows more of what a disk can do to it. Default 0. */
  readonly preAllocSizeKiB?: number;
  /** Called once when the server can't start, or can't go on. Default: the world stops with that error. */
  readonly onFailure?: (error: Error) => void;
}

/**
 * Starts a server, which listens after some running of the world; what goes wrong is thrown out of the world.
 * @param options `create` makes another one than the plain `Server`
 */
export function startServer(process: Process, options?: StartServerOptions): Server;
export function startServer<S extends Server>(
  process: Process,
  options: StartServerOptions & { readonly create: (options: ServerOptions) => S },
): S;
export function startServer(
  process: Process,
  options: StartServerOptions & { readonly create?: (options: ServerOptions) => Server } = {},
): Server {
  const fail = (error: Error): never => {
    throw new Error(`${process.name} failed`, { cause: error });
  };
  const { zooCfg = [], preAllocSizeKiB = 0, myid = 0, onFailure = fail } = options;
  const text = ['dataDir=/data', 'clientPort=2181', ...zooCfg].join('\n');
  const properties = new Map([['zookeeper.preAllocSize', String(preAllocSizeKiB)]]);
  const { create = (ports: ServerOptions) => new Server(ports) } = options;
  const server = create({
    config: parseZooCfg(text, { file: 'zoo.cfg', properties, readMyid: () => String(myid) }).config,
    clock: process.clock,
    network: process.network,
    logDisk: process.disk('version-2'),
    random: process.random,
    hash: systemHash,
    runLog: process.runLog,
    onFailure,
  });
  void process.act(() => {
    server.start((outcome) => {
      if ('error' in outcome) onFailure(outcome.error);
    });
  });
  return server;
}
