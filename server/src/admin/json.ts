import { Decimal } from './decimal.ts';

/** A value of an answer. Session ids are `bigint`: they don't fit a double, and are written as exact integers. */
export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | Decimal
  | readonly Json[]
  | JsonObject
  | ReadonlyMap<string, Json>;

/** Names that look like numbers would change their order in an object: those stand in a `Map`. */
export interface JsonObject {
  readonly [name: string]: Json;
}

/** Text in the form of the original's (Jackson's default pretty printer): two spaces a level, arrays on their line. */
export function toJson(value: Json, level = 0): string {
  if (value === null) return 'null';
  if (value instanceof Decimal || typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object') return JSON.stringify(value);
  if (isArray(value)) {
    return value.length === 0 ? '[ ]' : `[ ${value.map((element) => toJson(element, level)).join(', ')} ]`;
  }
  const entries: (readonly [string, Json])[] = value instanceof Map ? [...value] : Object.entries(value);
  if (entries.length === 0) return '{ }';
  const indent = '  '.repeat(level);
  const fields = entries.map(([name, field]) => `${indent}  ${JSON.stringify(name)} : ${toJson(field, level + 1)}`);
  return `{\n${fields.join(',\n')}\n${indent}}`;
}

/** `Array.isArray` doesn't tell a readonly array from the other objects. */
const isArray = (value: object): value is readonly Json[] => Array.isArray(value);
