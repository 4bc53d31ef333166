/**
 * Schemas from JSON (Curator's `SchemaSetLoader`): a list of
 *
 *     { "name": "…", "path": "…",                                  required
 *       "isRegex": false, "schemaValidator": "a name", "documentation": "…",
 *       "ephemeral" | "sequential" | "watched": "can" | "must" | "cannot"     in any case
 *       "canBeDeleted": true, "metadata": { "any": "text" } }
 *
 * Other keys are ignored, as in the original. YAML is not read: parse it, and hand over what comes out.
 */
import { InvalidArgumentError } from '../errors.ts';
import { type Allowance, type Schema, SchemaSet } from './schema-set.ts';

export interface SchemaJsonOptions {
  /** Name → what a `schemaValidator` of that name stands for. */
  readonly validators?: Readonly<Record<string, NonNullable<Schema['validate']>>> | undefined;
  /** Everything is allowed where no schema fits; true by default. */
  readonly useDefaultSchema?: boolean | undefined;
}

/**
 * @param json the text, or what `JSON.parse` has made of it
 * @throws InvalidArgumentError naming the entry and the key
 */
export function schemaSetFromJson(
  json: unknown,
  { validators = {}, useDefaultSchema }: SchemaJsonOptions = {},
): SchemaSet {
  const list = typeof json === 'string' ? parse(json) : json;
  if (!Array.isArray(list)) throw new InvalidArgumentError('json', 'not a list of schemas');
  return new SchemaSet(
    list.map((entry: unknown, index) => toSchema(entry, `json[${index}]`, validators)),
    { useDefaultSchema },
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidArgumentError('json', `it can't be parsed: ${String(cause)}`, { cause });
  }
}

function toSchema(entry: unknown, at: string, validators: NonNullable<SchemaJsonOptions['validators']>): Schema {
  if (!isRecord(entry)) throw new InvalidArgumentError(at, 'not an object');
  const path = required(textOf(entry, 'path', at), `${at}.path`);
  return {
    name: required(textOf(entry, 'name', at), `${at}.name`),
    path: booleanOf(entry, 'isRegex', at) ? toRegExp(path, at) : path,
    documentation: textOf(entry, 'documentation', at),
    validate: validatorOf(entry, at, validators),
    ephemeral: allowanceOf(entry, 'ephemeral', at),
    sequential: allowanceOf(entry, 'sequential', at),
    watched: allowanceOf(entry, 'watched', at),
    // As the original documents it. Its loader takes a missing key for false.
    canBeDeleted: booleanOf(entry, 'canBeDeleted', at) ?? true,
    metadata: metadataOf(entry, at),
  };
}

type JsonRecord = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function required(text: string | undefined, argument: string): string {
  if (text === undefined) throw new InvalidArgumentError(argument, 'it is required');
  return text;
}

function textOf(entry: JsonRecord, key: string, at: string): string | undefined {
  const value = entry[key];
  if (value === undefined || typeof value === 'string') return value;
  throw new InvalidArgumentError(`${at}.${key}`, 'not a text');
}

function booleanOf(entry: JsonRecord, key: string, at: string): boolean | undefined {
  const value = entry[key];
  if (value === undefined || typeof value === 'boolean') return value;
  throw new InvalidArgumentError(`${at}.${key}`, 'neither true nor false');
}

function allowanceOf(entry: JsonRecord, key: string, at: string): Allowance | undefined {
  const word = textOf(entry, key, at)?.toLowerCase();
  if (word === undefined || word === 'can' || word === 'must' || word === 'cannot') return word;
  throw new InvalidArgumentError(`${at}.${key}`, `${word} is not can, must or cannot`);
}

function validatorOf(
  entry: JsonRecord,
  at: string,
  validators: NonNullable<SchemaJsonOptions['validators']>,
): Schema['validate'] {
  const name = textOf(entry, 'schemaValidator', at);
  if (name === undefined) return undefined;
  const validator = Object.hasOwn(validators, name) ? validators[name] : undefined;
  if (validator === undefined)
    throw new InvalidArgumentError(`${at}.schemaValidator`, `no validator is called ${name}`);
  return validator;
}

function metadataOf(entry: JsonRecord, at: string): Readonly<Record<string, string>> {
  const { metadata = {} } = entry;
  if (!isRecord(metadata)) throw new InvalidArgumentError(`${at}.metadata`, 'not an object');
  return Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, String(value)]));
}

function toRegExp(source: string, at: string): RegExp {
  try {
    return new RegExp(source);
  } catch (cause) {
    throw new InvalidArgumentError(`${at}.path`, String(cause), { cause });
  }
}
