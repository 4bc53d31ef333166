import {
  type Acl,
  JuteWriter,
  OpCode,
  opCodeName,
  type Txn,
  type TxnBody,
  toHex,
  writeTxnBody,
} from 'zookeeper-protocol-ts';

/**
 * A transaction as one line, character for character as the original's `TxnLogToolkit` writes it in an English locale:
 *
 *     11/22/26, 4:53:26 PM UTC session 0x100000dc6d10000 cxid 0x2 zxid 0x6 setData /a,yy,1
 *
 * The list of an ACL has a line break behind each entry, there as here.
 */
export function txnLine({ header, body }: Txn): string {
  const { sessionId, cxid, zxid, time, type } = header;
  const ids = `session ${toHex(sessionId)} cxid 0x${(cxid >>> 0).toString(16)} zxid ${toHex(zxid)}`;
  return `${formatTime(time)} ${ids} ${nameOf(type)} ${fieldsOf(body)}`;
}

const TIME = new Intl.DateTimeFormat('en-US', {
  year: '2-digit',
  month: 'numeric',
  day: 'numeric',
  hour: 'numeric',
  minute: '2-digit',
  second: '2-digit',
  timeZoneName: 'short',
});

/** Newer locale data have a narrow space in front of AM and PM. */
const formatTime = (ms: number): string => TIME.format(ms).replace(/\u202f/g, ' ');

const nameOf = (type: number): string => (type === OpCode.createTTL ? 'createTtl' : opCodeName(type));

function fieldsOf(body: TxnBody): string {
  switch (body.type) {
    case OpCode.create:
    case OpCode.create2:
      return `${body.path},${text(body.data)},${list(body.acl)},${body.ephemeral},${body.parentCversion}`;
    case OpCode.createContainer:
      return `${body.path},${text(body.data)},${list(body.acl)},${body.parentCversion}`;
    case OpCode.createTTL:
      return `${body.path},${text(body.data)},${list(body.acl)},${body.parentCversion},${body.ttlMs}`;
    case OpCode.setData:
    case OpCode.reconfig:
      return `${body.path},${text(body.data)},${body.version}`;
    case OpCode.multi:
      return body.txns.map((part) => `${nameOf(part.type)}:${text(encoded(part))}`).join(';');
    case OpCode.delete:
    case OpCode.deleteContainer:
      return csv(body.path);
    case OpCode.setACL:
      return `${csv(body.path)},v{${(body.acl ?? []).map(csvAcl).join(',')}},${body.version}`;
    case OpCode.check:
      return `${csv(body.path)},${body.version}`;
    case OpCode.createSession:
      return String(body.timeoutMs);
    case OpCode.closeSession:
      return body.paths === undefined ? '' : `v{${body.paths.map(csv).join(',')}}`;
    case OpCode.error:
      return String(body.err);
  }
}

const text = (bytes: Uint8Array | null): string => (bytes === null ? '' : Buffer.from(bytes).toString('utf8'));

function encoded(body: TxnBody): Uint8Array {
  const writer = new JuteWriter();
  writeTxnBody(writer, body);
  return writer.take();
}

/** As a Java list of records is printed. */
const list = (acl: readonly Acl[] | null): string =>
  acl === null ? 'null' : `[${acl.map((entry) => `${csvFields(entry)}\n`).join(', ')}]`;

const csvFields = ({ perms, id }: Acl): string => `${perms},s{${csv(id.scheme)},${csv(id.id)}}`;
const csvAcl = (entry: Acl): string => `s{${csvFields(entry)}}`;

/** A string in jute's text form. */
const csv = (value: string | null): string =>
  value === null ? '' : `'${value.replace(/[\0\n\r,}%]/g, (char) => ESCAPES.get(char) ?? char)}`;

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\0', '%00'],
  ['\n', '%0A'],
  ['\r', '%0D'],
  [',', '%2C'],
  ['}', '%7D'],
  ['%', '%25'],
]);
