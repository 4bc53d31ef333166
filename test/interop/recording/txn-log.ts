import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JuteReader, opCodeName, txnHeader } from 'zookeeper-protocol-ts';
import type { RecordedTxn } from './recording.ts';

/** `magic "ZKLG", version int, dbid long`, in front of the entries. */
const FILE_HEADER_BYTES = 16;

/** Transactions of one type that are kept: the log of a recording has dozens of creates that differ in nothing. */
const KEPT_OF_A_TYPE = 6;

/**
 * The transactions in a server's logs, oldest first. A file is its header, then entries `checksum long, txn buffer, 0x42`,
 * then zeros (ZooKeeper's `FileTxnLog`). The checksums are not looked at: the server that wrote them has just stopped.
 */
export async function readTxns(logDir: string): Promise<RecordedTxn[]> {
  const byZxid = (name: string): bigint => BigInt(`0x${name.slice('log.'.length)}`);
  const names = (await readdir(logDir)).filter((name) => name.startsWith('log.'));
  names.sort((a, b) => Number(byZxid(a) - byZxid(b)));
  const kept = new Map<string, number>();
  const txns: RecordedTxn[] = [];
  for (const name of names) {
    for (const bytes of entries(await readFile(join(logDir, name)))) {
      const operation = opCodeName(txnHeader.read(new JuteReader(bytes)).type);
      const count = kept.get(operation) ?? 0;
      kept.set(operation, count + 1);
      if (count < KEPT_OF_A_TYPE) txns.push({ operation, hex: bytes.toString('hex') });
    }
  }
  return txns;
}

function* entries(file: Buffer): Generator<Buffer> {
  const reader = new JuteReader(file.subarray(FILE_HEADER_BYTES));
  while (reader.remaining >= 12) {
    reader.readLong();
    const bytes = reader.readBuffer();
    if (bytes === null || bytes.length === 0) return;
    if (reader.readByte() !== 0x42) throw new Error('an entry of the log has no end mark');
    yield bytes;
  }
}
