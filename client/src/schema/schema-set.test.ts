import { describe, expect, it } from 'vitest';
import { CreateMode, OPEN_ACL } from 'zookeeper-protocol-ts';
import { InvalidArgumentError } from '../errors.ts';
import { recipeParentSchema, recipeSchema, type Schema, SchemaSet, SchemaViolationError } from './schema-set.ts';

const write = (path: string, data = '') => ({ path, data: Buffer.from(data), acl: OPEN_ACL });

/** What a check throws. */
function violationOf(check: () => void): SchemaViolationError {
  try {
    check();
  } catch (error) {
    if (error instanceof SchemaViolationError) return error;
    throw error;
  }
  throw new Error('nothing was violated');
}

describe('the schema for a path', () => {
  const exact: Schema = { name: 'exact', path: '/a/b' };
  const first: Schema = { name: 'first', path: /\/a\/.*/ };
  const second: Schema = { name: 'second', path: /\/a\/b|\/c/ };
  const schemas = new SchemaSet([second, first, exact]);

  it.each<[string, string, Schema | undefined]>([
    ['that is named exactly goes before every expression', '/a/b', exact],
    ['that an expression matches is that of the expression', '/c', second],
    ['that several match is that of the first', '/a/x', first],
    ['of which an expression matches a part is not that of the expression', '/a/b/c', first],
    ['that nothing matches is none', '/c/d', undefined],
  ])('%s', (_, path, schema) => {
    expect(schemas.schemaFor(path)).toBe(schema);
  });

  it('has to be there if there is no default', () => {
    const strict = new SchemaSet([exact], { useDefaultSchema: false });
    expect(strict.schemaFor('/a/b')).toBe(exact);
    const violation = violationOf(() => strict.checkDelete('/other'));
    expect(violation).toMatchObject({ code: 'SCHEMA_VIOLATION', path: '/other', schema: undefined });
    expect(violation.message).toBe('no schema: /other');
  });

  it('is found whatever the expression was used for before', () => {
    const global = new SchemaSet([{ name: 'global', path: /\/a/g, canBeDeleted: false }]);
    for (let i = 0; i < 3; i++) violationOf(() => global.checkDelete('/a'));
  });

  it('may be written with a slash at its end', () => {
    expect(new SchemaSet([{ name: 'slash', path: '/a/' }]).schemaFor('/a')?.name).toBe('slash');
    expect(new SchemaSet([{ name: 'root', path: '/' }]).schemaFor('/')?.name).toBe('root');
  });
});

describe('a schema', () => {
  const { PERSISTENT, EPHEMERAL, PERSISTENT_SEQUENTIAL, EPHEMERAL_SEQUENTIAL } = CreateMode;
  it.each<[string, Partial<Schema>, (schemas: SchemaSet) => void, string]>([
    ['ephemeral must', { ephemeral: 'must' }, (s) => s.checkCreate(write('/a'), PERSISTENT), 'must be ephemeral'],
    [
      'ephemeral cannot',
      { ephemeral: 'cannot' },
      (s) => s.checkCreate(write('/a'), EPHEMERAL),
      'must not be ephemeral',
    ],
    ['sequential must', { sequential: 'must' }, (s) => s.checkCreate(write('/a'), EPHEMERAL), 'must be sequential'],
    [
      'sequential cannot',
      { sequential: 'cannot' },
      (s) => s.checkCreate(write('/a'), PERSISTENT_SEQUENTIAL),
      'must not be sequential',
    ],
    ['watched must', { watched: 'must' }, (s) => s.checkWatch('/a', false), 'must be watched'],
    ['watched cannot', { watched: 'cannot' }, (s) => s.checkWatch('/a', true), 'must not be watched'],
    ['canBeDeleted false', { canBeDeleted: false }, (s) => s.checkDelete('/a'), 'must not be deleted'],
    ['a validator, on create', { validate: () => false }, (s) => s.checkCreate(write('/a'), PERSISTENT), 'not valid'],
    ['a validator, on setData', { validate: () => false }, (s) => s.checkWrite(write('/a')), 'not valid'],
  ])('with %s refuses what it says', (_, rules, check, problem) => {
    const schema = { name: 'strict', path: '/a', ...rules };
    const violation = violationOf(() => check(new SchemaSet([schema])));
    expect(violation.schema).toBe(schema);
    expect(violation.message).toMatch(/^schema strict: /);
    expect(violation.message).toContain(problem);
  });

  it('that says nothing allows everything', () => {
    const schemas = new SchemaSet([{ name: 'open', path: '/a' }]);
    for (const mode of Object.values(CreateMode)) schemas.checkCreate(write('/a'), mode);
    schemas.checkWrite(write('/a'));
    schemas.checkDelete('/a');
    schemas.checkWatch('/a', true);
    schemas.checkWatch('/a', false);
  });

  it('hands its validator the path, the data and the ACL', () => {
    const seen: unknown[] = [];
    const schemas = new SchemaSet([{ name: 'seeing', path: /\/.*/, validate: (each) => seen.push(each) > 0 }]);
    schemas.checkCreate(write('/a', 'x'), PERSISTENT);
    schemas.checkWrite({ path: '/b', data: undefined, acl: OPEN_ACL });
    expect(seen).toEqual([write('/a', 'x'), { path: '/b', data: undefined, acl: OPEN_ACL }]);
  });

  it("of a recipe is for the recipe's znodes", () => {
    const schemas = new SchemaSet([recipeParentSchema('/locks (1)'), recipeSchema('/locks (1)')]);
    schemas.checkCreate(write('/locks (1)'), CreateMode.CONTAINER);
    schemas.checkCreate(write('/locks (1)/lock-'), EPHEMERAL_SEQUENTIAL);
    schemas.checkDelete('/locks (1)/lock-1');
    violationOf(() => schemas.checkCreate(write('/locks (1)'), EPHEMERAL));
    violationOf(() => schemas.checkCreate(write('/locks (1)/lock-'), EPHEMERAL));
    schemas.checkWatch('/locks (1)/lock-1', false);
    expect(schemas.schemaFor('/locks (1)x')).toBeUndefined();
  });

  it.each<[string, unknown, string]>([
    ['without a name', { path: '/a' }, 'schemas[0].name'],
    ['for what is no path', { name: 'bad', path: 'a' }, 'schemas[0].path'],
    ['for a number', { name: 'bad', path: 7 }, 'schemas[0].path'],
    ['with a word of its own', { name: 'bad', path: '/a', watched: 'maybe' }, 'schemas[0].watched'],
    ['with a validator that is none', { name: 'bad', path: '/a', validate: 'json' }, 'schemas[0].validate'],
    ['with a text for a boolean', { name: 'bad', path: '/a', canBeDeleted: 'no' }, 'schemas[0].canBeDeleted'],
  ])('%s is refused', (_, schema, argument) => {
    expect(() => new SchemaSet([schema as Schema])).toThrow(expect.objectContaining({ argument }));
    expect(() => new SchemaSet([schema as Schema])).toThrow(InvalidArgumentError);
  });
});
