/** Compression with gzip, by node:zlib (Curator's `GzipCompressionProvider`; each reads what the other wrote). */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { InvalidArgumentError } from './errors.ts';
import type { CompressionProvider } from './operations/compression.ts';

const compress = promisify(gzip);
const decompress = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(gunzip);

/** A few kilobytes can say that they are gigabytes. */
const DATA_BYTES_MAX_DEFAULT = 64 * 1024 * 1024;

export class GzipCompressionProvider implements CompressionProvider {
  readonly #dataBytesMax: number;

  /** @param dataBytesMax what decompressed data may come to; 64 MiB by default */
  constructor({ dataBytesMax = DATA_BYTES_MAX_DEFAULT }: { readonly dataBytesMax?: number } = {}) {
    if (!(Number.isInteger(dataBytesMax) && dataBytesMax > 0)) {
      throw new InvalidArgumentError('dataBytesMax', `${String(dataBytesMax)} is not a whole number of bytes`);
    }
    this.#dataBytesMax = dataBytesMax;
  }

  compress(_path: string, data: Uint8Array): Promise<Uint8Array> {
    return compress(data);
  }

  decompress(_path: string, data: Uint8Array): Promise<Uint8Array> {
    return decompress(data, { maxOutputLength: this.#dataBytesMax });
  }
}
