/**
 * What the data of a queue's znode look like (Curator's `ItemSerializer`, compatible with it to the byte):
 *
 *     00 01 00 01                              int32: version
 *     ( 01  length: int32  payload )*          one for each item; the length may be 0
 *     02                                       the end; what follows doesn't count
 *
 * One item `hey` is `00 01 00 01 01 00 00 00 03 68 65 79 02`. All numbers are big-endian.
 */

const VERSION = 0x0001_0001;
const ITEM = 1;
const END = 2;
const ITEM_HEADER_BYTES = 5;

/** The data of a znode that holds these items. */
export function encodeItems(payloads: readonly Uint8Array[]): Uint8Array {
  const size = payloads.reduce((sum, { length }) => sum + ITEM_HEADER_BYTES + length, 5);
  const data = new Uint8Array(size);
  const view = new DataView(data.buffer);
  view.setInt32(0, VERSION);
  let offset = 4;
  for (const payload of payloads) {
    view.setUint8(offset, ITEM);
    view.setInt32(offset + 1, payload.length);
    data.set(payload, offset + ITEM_HEADER_BYTES);
    offset += ITEM_HEADER_BYTES + payload.length;
  }
  view.setUint8(offset, END);
  return data;
}

/**
 * The items that a znode's data hold: views of these data.
 * @throws RangeError that names the offset, if nobody can have written them
 */
export function decodeItems(data: Uint8Array): Uint8Array[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 5) throw new RangeError(`${data.length} bytes are too short for a queue's items`);
  const version = view.getInt32(0);
  if (version !== VERSION) throw new RangeError(`version ${version} of the item format is unknown`);
  const payloads: Uint8Array[] = [];
  let offset = 4;
  for (;;) {
    const opcode = offset < data.length ? view.getUint8(offset) : undefined;
    if (opcode === END) return payloads;
    if (opcode !== ITEM)
      throw new RangeError(`at byte ${offset} is ${opcode ?? 'the end'}, not an item or the last byte`);
    const start = offset + ITEM_HEADER_BYTES;
    const length = start <= data.length ? view.getInt32(offset + 1) : -1;
    if (length < 0 || start + length > data.length) {
      throw new RangeError(`the item at byte ${offset} doesn't end within the ${data.length} bytes`);
    }
    payloads.push(data.subarray(start, start + length));
    offset = start + length;
  }
}
