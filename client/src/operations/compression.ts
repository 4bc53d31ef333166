/**
 * Data that is compressed on its way to the servers and decompressed on its way back (Curator's `CompressionProvider`). What a
 * znode holds doesn't tell whether it is compressed: writers and readers agree, call by call or for the whole client.
 */
import { ZooKeeperError } from '../errors.ts';
import { toBytes } from '../zookeeper-arguments.ts';

export interface CompressionProvider {
  /** @param path as the caller gave it */
  compress(path: string, data: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Fails for what `compress` can't have made: it must not return garbage. */
  decompress(path: string, data: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

export interface Compression {
  readonly provider: CompressionProvider;
  /** For calls that don't say. */
  readonly isDefault: boolean;
}

/** The client's part in it. */
export interface CompressionScope {
  readonly compression: Compression;
  readonly defaultData: Uint8Array;
}

/** A znode's data is not what it was expected to be: not compressed, or damaged. */
export class DataInconsistencyError extends ZooKeeperError {
  override readonly name = 'DataInconsistencyError';
  override readonly code = 'DATA_INCONSISTENCY';
}

/**
 * What is written for this data. Nothing is put off for data that is not compressed, so that requests leave in the order of the calls.
 * @throws InvalidArgumentError if it is neither bytes nor a string
 */
export function toStored(
  { compression, defaultData }: CompressionScope,
  path: string,
  { data, compressed = compression.isDefault }: StoredData,
): Uint8Array | Promise<Uint8Array> {
  const bytes = toGiven({ defaultData }, data);
  return compressed ? compression.provider.compress(path, bytes) : bytes;
}

/**
 * The data as bytes, or the client's default data.
 * @throws InvalidArgumentError if it is neither bytes nor a string
 */
export const toGiven = (
  { defaultData }: Pick<CompressionScope, 'defaultData'>,
  data: Uint8Array | string | undefined,
): Uint8Array => toBytes(data ?? defaultData);

/** What a caller wants to have written. */
export interface StoredData {
  /** Strings are written in UTF-8. The client's default data when absent. */
  readonly data?: Uint8Array | string | undefined;
  /** Write it compressed. False by default, unless compression is enabled for the whole client. */
  readonly compressed?: boolean | undefined;
}

/**
 * The data that was written. A znode without data was made by somebody who had nothing to compress.
 * @throws DataInconsistencyError if it was not compressed, or is damaged
 */
export async function fromStored(
  { compression }: Pick<CompressionScope, 'compression'>,
  path: string,
  stored: Buffer,
): Promise<Buffer> {
  if (stored.length === 0) return stored;
  try {
    return Buffer.from(await compression.provider.decompress(path, stored));
  } catch (cause) {
    throw new DataInconsistencyError(`the data can't be decompressed: ${path}`, { path, cause });
  }
}
