/**
 * Schemas: what may be done with the znodes of a program, as far as its clients see to it themselves (Curator's `Schema` and
 * `SchemaSet`). They document a tree and catch mistakes; they keep nobody out, which is what ACLs are for.
 *
 * What must always hold: a path is the user's, in no namespace, for every operation. A violation is found before anything is sent.
 */
import {
  type Acl,
  type CreateMode,
  InvalidPathError,
  isEphemeral,
  isSequential,
  joinPath,
  validatePath,
} from 'zookeeper-protocol-ts';
import { InvalidArgumentError, ZooKeeperError } from '../errors.ts';

/** Whether something may be, has to be, or must not be. */
export type Allowance = 'can' | 'must' | 'cannot';

/** What is about to be written. */
export interface SchemaWrite {
  readonly path: string;
  /** As the caller gave them, not compressed. Undefined for setACL. */
  readonly data: Uint8Array | undefined;
  /** Undefined for setData. */
  readonly acl: readonly Acl[] | undefined;
}

/** The rules for one path, or for all paths of a form. */
export interface Schema {
  /** For messages. */
  readonly name: string;
  /** A path, or an expression that has to match the whole of it. */
  readonly path: string | RegExp;
  /** For readers; nothing is made of it. */
  readonly documentation?: string | undefined;
  /** Whether this may be written. Anything may by default. */
  readonly validate?: ((write: SchemaWrite) => boolean) | undefined;
  /** Created as an ephemeral znode; `can` by default. */
  readonly ephemeral?: Allowance | undefined;
  /** Created with a sequential mode; `can` by default. */
  readonly sequential?: Allowance | undefined;
  /** Read with a watch; `can` by default. */
  readonly watched?: Allowance | undefined;
  /** True by default. */
  readonly canBeDeleted?: boolean | undefined;
  /** For readers; nothing is made of it. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** A call was refused by a schema, or there is none for its path. Nothing was sent. */
export class SchemaViolationError extends ZooKeeperError {
  override readonly name = 'SchemaViolationError';
  override readonly code = 'SCHEMA_VIOLATION';
  /** The one that refused; undefined where there is none for the path. */
  readonly schema: Schema | undefined;

  constructor(schema: Schema | undefined, path: string, problem: string) {
    super(`${schema === undefined ? '' : `schema ${schema.name}: `}${problem}: ${path}`, { path });
    this.schema = schema;
  }
}

/** For the znode under which a recipe keeps its own: neither ephemeral nor sequential (Curator's `builderForRecipeParent`). */
export const recipeParentSchema = (path: string): Schema => ({
  name: `recipe parent ${path}`,
  path,
  ephemeral: 'cannot',
  sequential: 'cannot',
});

/**
 * For the znodes that a recipe keeps under `parent`: ephemeral and sequential (Curator's `builderForRecipe`, which also has them
 * watched by each read; ours read without a watch where they have one already).
 */
export const recipeSchema = (parent: string): Schema => ({
  name: `recipe ${parent}`,
  path: new RegExp(`${escaped(joinPath(parent, 'x').slice(0, -1))}.*`),
  ephemeral: 'must',
  sequential: 'must',
});

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

export class SchemaSet {
  readonly schemas: readonly Schema[];
  readonly #useDefaultSchema: boolean;
  readonly #byPath = new Map<string, Schema>();
  /** In the order in which they were given. */
  readonly #byForm: { readonly form: RegExp; readonly schema: Schema }[] = [];

  /**
   * @param useDefaultSchema everything is allowed where no schema fits; true by default. Otherwise nothing is.
   * @throws InvalidArgumentError naming the schema and what is wrong with it
   */
  constructor(
    schemas: readonly Schema[],
    { useDefaultSchema = true }: { readonly useDefaultSchema?: boolean | undefined } = {},
  ) {
    if (!Array.isArray(schemas)) throw new InvalidArgumentError('schemas', 'not a list of schemas');
    this.schemas = schemas;
    this.#useDefaultSchema = useDefaultSchema;
    for (const [index, schema] of schemas.entries()) {
      checkSchema(schema, `schemas[${index}]`);
      const { path } = schema;
      if (typeof path === 'string') this.#byPath.set(withoutTrailingSlash(path), schema);
      // Without the flags that remember where the last search ended.
      else this.#byForm.push({ form: new RegExp(`^(?:${path.source})$`, path.flags.replace(/[gy]/g, '')), schema });
    }
  }

  /**
   * The schema for a path: the one for exactly this path, or else the first whose expression matches it. Undefined where there is none
   * and everything is allowed.
   * @throws SchemaViolationError where there is none and nothing is
   */
  schemaFor(path: string): Schema | undefined {
    const schema = this.#byPath.get(path) ?? this.#byForm.find(({ form }) => form.test(path))?.schema;
    if (schema === undefined && !this.#useDefaultSchema) throw new SchemaViolationError(undefined, path, 'no schema');
    return schema;
  }

  /** @throws SchemaViolationError, like the checks below */
  checkCreate(write: SchemaWrite, mode: CreateMode): void {
    const schema = this.schemaFor(write.path);
    if (schema === undefined) return;
    checkAllowance(schema, schema.ephemeral, write.path, { is: isEphemeral(mode), what: 'be ephemeral' });
    checkAllowance(schema, schema.sequential, write.path, { is: isSequential(mode), what: 'be sequential' });
    checkWrite(schema, write);
  }

  /** For setData and setACL. */
  checkWrite(write: SchemaWrite): void {
    const schema = this.schemaFor(write.path);
    if (schema !== undefined) checkWrite(schema, write);
  }

  checkDelete(path: string): void {
    const schema = this.schemaFor(path);
    if (schema?.canBeDeleted === false) throw new SchemaViolationError(schema, path, 'must not be deleted');
  }

  /** For reads that can leave a watch, and for watches that stay. */
  checkWatch(path: string, isWatched: boolean): void {
    const schema = this.schemaFor(path);
    if (schema !== undefined) checkAllowance(schema, schema.watched, path, { is: isWatched, what: 'be watched' });
  }
}

function checkWrite(schema: Schema, write: SchemaWrite): void {
  if (schema.validate !== undefined && !schema.validate(write)) {
    throw new SchemaViolationError(schema, write.path, 'what is written is not valid');
  }
}

function checkAllowance(
  schema: Schema,
  allowance: Allowance | undefined,
  path: string,
  { is, what }: { is: boolean; what: string },
): void {
  if (is && allowance === 'cannot') throw new SchemaViolationError(schema, path, `must not ${what}`);
  if (!is && allowance === 'must') throw new SchemaViolationError(schema, path, `must ${what}`);
}

function checkSchema(schema: Schema, argument: string): void {
  const invalid = (field: string, problem: string, cause?: unknown) =>
    new InvalidArgumentError(`${argument}.${field}`, problem, { cause });
  const { name, path, validate, canBeDeleted } = schema;
  if (typeof name !== 'string' || name === '') throw invalid('name', 'a schema needs a name');
  if (typeof path === 'string') {
    try {
      validatePath(withoutTrailingSlash(path));
    } catch (cause) {
      throw invalid('path', cause instanceof InvalidPathError ? cause.message : String(cause), cause);
    }
  } else if (!(path instanceof RegExp)) {
    throw invalid('path', 'neither a path nor a regular expression');
  }
  for (const field of ['ephemeral', 'sequential', 'watched'] as const) {
    const allowance = schema[field];
    if (allowance !== undefined && !isAllowance(allowance)) throw invalid(field, `${allowance} is not ${ALLOWANCES}`);
  }
  if (validate !== undefined && typeof validate !== 'function') throw invalid('validate', 'not a function');
  if (canBeDeleted !== undefined && typeof canBeDeleted !== 'boolean') throw invalid('canBeDeleted', 'not a boolean');
}

const ALLOWANCES = 'can, must or cannot';
const isAllowance = (value: unknown): value is Allowance => value === 'can' || value === 'must' || value === 'cannot';

const withoutTrailingSlash = (path: string): string =>
  path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
