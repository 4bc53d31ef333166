export { type AdminServerConfig, ConfigError, type PrometheusConfig, type ServerConfig } from './config.ts';
export { InvariantError } from './invariant.ts';
export { AdminServerError } from './node/admin-http.ts';
export { type ServerAddress, ZooKeeperServer, type ZooKeeperServerOptions } from './node/zookeeper-server.ts';
export type {
  Address,
  Clock,
  Closeable,
  DialHandler,
  Disk,
  DiskFile,
  Done,
  Hash,
  ListenHandler,
  Machine,
  Millis,
  Network,
  Random,
  RunLog,
  Stream,
  StreamHandler,
} from './ports.ts';
export { Server, type ServerOptions } from './server.ts';
export { MemoryDisk } from './storage/memory-disk.ts';
export { StorageError } from './storage/storage-error.ts';
export { parseZooCfg } from './zoo-cfg.ts';
