import { describe, expect, it } from 'vitest';
import { CreateMode, OPEN_ACL } from 'zookeeper-protocol-ts';
import { InvalidArgumentError } from '../errors.ts';
import { schemaSetFromJson } from './schema-json.ts';
import { SchemaViolationError } from './schema-set.ts';

const text = `[
  { "name": "jobs", "path": "/jobs", "documentation": "what is to be done", "ephemeral": "CANNOT",
    "canBeDeleted": false, "metadata": { "owner": "billing", "since": 2024 } },
  { "name": "job", "path": "/jobs/[^/]+", "isRegex": true, "schemaValidator": "json", "sequential": "must", "watched": "Can" }
]`;

const isJson = ({ data }: { data: Uint8Array | undefined }) => data === undefined || data[0] === 0x7b;

describe('schemas from JSON', () => {
  it("have the original's keys", () => {
    const [jobs, job] = schemaSetFromJson(text, { validators: { json: isJson } }).schemas;
    expect(jobs).toEqual({
      name: 'jobs',
      path: '/jobs',
      documentation: 'what is to be done',
      ephemeral: 'cannot',
      canBeDeleted: false,
      metadata: { owner: 'billing', since: '2024' },
    });
    expect(job).toEqual({
      name: 'job',
      path: /\/jobs\/[^/]+/,
      validate: isJson,
      sequential: 'must',
      watched: 'can',
      canBeDeleted: true,
      metadata: {},
    });
  });

  it('are enforced', () => {
    const schemas = schemaSetFromJson(JSON.parse(text), { validators: { json: isJson }, useDefaultSchema: false });
    const job = (data: string) => ({ path: '/jobs/j-', data: Buffer.from(data), acl: OPEN_ACL });
    schemas.checkCreate(job('{}'), CreateMode.PERSISTENT_SEQUENTIAL);
    expect(() => schemas.checkCreate(job('no'), CreateMode.PERSISTENT_SEQUENTIAL)).toThrow(SchemaViolationError);
    expect(() => schemas.checkDelete('/jobs')).toThrow(SchemaViolationError);
    expect(() => schemas.checkDelete('/elsewhere')).toThrow('no schema: /elsewhere');
  });

  it.each<[string, unknown, string]>([
    ['a text that is no JSON', '[', 'json'],
    ['an object', { name: 'a', path: '/a' }, 'json'],
    ['a list of texts', ['/a'], 'json[0]'],
    ['an entry without a name', [{ path: '/a' }], 'json[0].name'],
    ['an entry without a path', [{ name: 'a' }], 'json[0].path'],
    ['a path that is none', [{ name: 'a', path: 'a' }], 'schemas[0].path'],
    ['an expression that is none', [{ name: 'a', path: '(', isRegex: true }], 'json[0].path'],
    ['a text for a boolean', [{ name: 'a', path: '/a', isRegex: 'true' }], 'json[0].isRegex'],
    ['another word', [{ name: 'a', path: '/a', ephemeral: 'perhaps' }], 'json[0].ephemeral'],
    ['an unknown validator', [{ name: 'a', path: '/a', schemaValidator: 'toString' }], 'json[0].schemaValidator'],
    ['metadata that are none', [{ name: 'a', path: '/a', metadata: 'x' }], 'json[0].metadata'],
  ])('%s is refused, by name', (_, json, argument) => {
    expect(() => schemaSetFromJson(json)).toThrow(expect.objectContaining({ argument }));
    expect(() => schemaSetFromJson(json)).toThrow(InvalidArgumentError);
  });
});
