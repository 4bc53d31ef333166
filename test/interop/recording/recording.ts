/**
 * What passed between a client and a server, frame by frame: the shape of the recordings in `protocol/fixtures`. The bytes
 * are the truth; the names beside them are for readers and for choosing a codec.
 */

/** One frame. Connections are recorded in the order in which they were opened, frames in the order in which they passed. */
export interface RecordedFrame {
  readonly from: 'client' | 'server';
  /** `connect`, `notification`, or the name of the operation; for a reply, of the operation it answers. */
  readonly operation: string;
  /** The name of the error in a reply's header, where there is one. */
  readonly error?: string;
  /** The frame's bytes, without the length in front of them. */
  readonly hex: string;
}

/** All the connections of one client, or of one scenario. */
export interface Recording {
  readonly client: string;
  readonly server: string;
  readonly connections: readonly (readonly RecordedFrame[])[];
}

/** A transaction from a log: the bytes of its entry, without checksum, length and end mark. */
export interface RecordedTxn {
  readonly operation: string;
  readonly hex: string;
}

/** The transactions of one log of a server, in the order of the log. */
export interface TxnRecording {
  readonly server: string;
  readonly txns: readonly RecordedTxn[];
}

/** JSON with one frame or transaction a line, so that a change can be reviewed. */
export function toJson(recording: Recording | TxnRecording): string {
  const lines = (items: readonly object[], indent: string): string =>
    items.length === 0
      ? '[]'
      : `[\n${items.map((item) => `${indent}  ${JSON.stringify(item)}`).join(',\n')}\n${indent}]`;
  const fields = Object.entries(recording).map(([name, value]) => {
    if (name === 'txns') return `  "txns": ${lines(value, '  ')}`;
    if (name !== 'connections') return `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`;
    const connections = (value as Recording['connections']).map((frames) => `    ${lines(frames, '    ')}`);
    return `  "connections": [\n${connections.join(',\n')}\n  ]`;
  });
  return `{\n${fields.join(',\n')}\n}\n`;
}
