import { JuteWriter, NO_SESSION, OpCode, toXid, toZxid, txn } from 'zookeeper-protocol-ts';

/** A transaction as it stands in a log: the data of a znode is set, to so many bytes that depend on the zxid alone. */
export function recordOf(zxid: bigint, dataBytes = 5): Buffer {
  const writer = new JuteWriter();
  txn.write(writer, {
    header: {
      sessionId: NO_SESSION,
      cxid: toXid(1),
      zxid: toZxid(zxid),
      time: 1_700_000_000_000,
      type: OpCode.setData,
    },
    body: {
      type: OpCode.setData,
      path: '/z',
      data: new Uint8Array(dataBytes).fill(Number(zxid % 251n) + 1),
      version: 1,
    },
    digest: undefined,
  });
  return writer.take();
}
