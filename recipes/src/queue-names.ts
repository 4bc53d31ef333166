/**
 * The names of a queue's znodes, and the order that they give (Curator's, to the letter):
 *
 *     item     = "queue-" label sequence          ; sequence: 10 digits, or "-" and 9 or 10 digits
 *     label    = ""                               ; DistributedQueue
 *              | "|" id "|"                       ; DistributedIdQueue
 *              | ( "0" | "1" ) 8 hex digits       ; DistributedPriorityQueue: "1" from 0 on, then the 32 bits; low ones first
 *              | "|" hex digits "|"               ; DistributedDelayQueue: when it is due, ms since 1970
 *
 * What must always hold: an item that is stored again gets the label that it had, and a new sequence number; never its whole name
 * with another number behind it (CURATOR-56, 224). So its id and its priority stay with it. (Curator's loses its priority.)
 */
import { sequenceOf, sequenceSuffix } from 'zookeeper-client-ts';

/** What all names of items begin with. */
export const ITEM_PREFIX = 'queue-';

/** A name, read. */
export interface ItemName {
  readonly name: string;
  /** Between prefix and sequence number. */
  readonly label: string;
  readonly sequence: number;
  /** Lower ones come first. Those of one rank come in the order of their sequence numbers. */
  readonly rank: string | number;
  /** ms since 1970; 0: always. */
  readonly dueAt: number;
}

/** What a kind of queue makes of labels. */
export interface QueueOrder {
  rankOf(label: string): string | number;
  dueAtOf(label: string): number;
}

const always = (): number => 0;

/** By name, and therefore by priority where the labels are priorities. One without a label comes first. */
export const byName: QueueOrder = { rankOf: (label) => label, dueAtOf: always };

/** In the order in which they were put, whatever their ids. */
export const bySequence: QueueOrder = { rankOf: always, dueAtOf: always };

/** When they are due. Two of the same millisecond come in the order in which they were put. */
export const byDueTime: QueueOrder = {
  rankOf: (label) => dueAtOf(label),
  dueAtOf: (label) => dueAtOf(label),
};

/** The label of an id: `/` and `|` in it become `_`, as Curator has it. */
export const idLabel = (id: string): string => `|${id.replaceAll(/[/|]/g, '_')}|`;

/** @param priority a 32-bit integer; lower ones come first */
export const priorityLabel = (priority: number): string =>
  `${priority < 0 ? 0 : 1}${(priority >>> 0).toString(16).toUpperCase().padStart(8, '0')}`;

/** @param dueAt ms since 1970, a whole number from 0 on */
export const delayLabel = (dueAt: number): string => `|${dueAt.toString(16).toUpperCase().padStart(8, '0')}|`;

function dueAtOf(label: string): number {
  const [, hex] = /^\|([0-9A-F]{1,13})\|$/i.exec(label) ?? [];
  return hex === undefined ? 0 : Number.parseInt(hex, 16);
}

/** The children of a queue's path, told apart. */
export interface QueueListing {
  /** The next one to be consumed first. */
  readonly items: readonly ItemName[];
  /** Names of children that are no items. */
  readonly strangers: readonly string[];
}

/** Sequence numbers are compared by their distance, so the order survives their wrap after 2147483647. */
export function readListing(children: readonly string[], order: QueueOrder): QueueListing {
  const items: ItemName[] = [];
  const strangers: string[] = [];
  for (const name of children) {
    const item = readItemName(name, order);
    if (item === undefined) strangers.push(name);
    else items.push(item);
  }
  items.sort((a, b) => (a.rank === b.rank ? (a.sequence - b.sequence) | 0 : a.rank < b.rank ? -1 : 1));
  return { items, strangers };
}

/** Undefined if it is no item's. */
export function readItemName(name: string, order: QueueOrder): ItemName | undefined {
  if (!name.startsWith(ITEM_PREFIX)) return undefined;
  const sequence = sequenceOf(name);
  if (sequence === undefined) return undefined;
  const label = name.slice(ITEM_PREFIX.length, name.length - sequenceSuffix(sequence).length);
  return { name, label, sequence, rank: order.rankOf(label), dueAt: order.dueAtOf(label) };
}
