import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  InvalidPathError,
  joinPath,
  nameOf,
  parentOf,
  pathProblem,
  sequenceOf,
  sequenceSuffix,
  validatePath,
} from './path.ts';

interface JavaVerdicts {
  readonly paths: readonly { units: string; valid: boolean; validSequential: boolean }[];
  readonly sequences: readonly { counter: number; suffix: string }[];
}
const verdicts: JavaVerdicts = JSON.parse(
  readFileSync(new URL('../fixtures/java-verdicts.json', import.meta.url), 'utf8'),
);
const fromUnits = (units: string): string =>
  units === '' ? '' : String.fromCharCode(...units.split(' ').map((unit) => Number.parseInt(unit, 16)));

const isValid = (path: string, sequential: boolean): boolean => {
  try {
    validatePath(path, { sequential });
    return true;
  } catch (error) {
    if (error instanceof InvalidPathError) return false;
    throw error;
  }
};

/** A component that a path may have. */
const names = fc
  .string({
    unit: fc.constantFrom('a', 'B', '0', '-', '.', ' ', '_', '%', 'ö', '漢', '\ud7ff', '\uf900', '\uffef'),
    minLength: 1,
  })
  .filter((name) => name !== '.' && name !== '..');
const paths = fc.array(names, { minLength: 1, maxLength: 5 }).map((components) => `/${components.join('/')}`);

describe('validatePath', () => {
  it.each(verdicts.paths.map((verdict) => ({ ...verdict, path: fromUnits(verdict.units) })))(
    'judges $path as Java does',
    ({ path, valid, validSequential }) => {
      expect(isValid(path, false)).toBe(valid);
      expect(isValid(path, true)).toBe(validSequential);
    },
  );

  it('returns every path made of valid components', () => {
    fc.assert(
      fc.property(paths, (path) => {
        expect(validatePath(path)).toBe(path);
      }),
    );
  });

  it('refuses a path with a forbidden character anywhere, and names the character and its place', () => {
    const forbidden = fc.oneof(
      ...[
        [0x00, 0x1f],
        [0x7f, 0x9f],
        [0xd800, 0xf8ff],
        [0xfff0, 0xffff],
      ].map(([min, max]) => fc.integer({ min: min as number, max: max as number })),
    );
    fc.assert(
      fc.property(paths, forbidden, fc.nat(), (path, unit, place) => {
        const at = 1 + (place % path.length);
        const broken = path.slice(0, at) + String.fromCharCode(unit) + path.slice(at);
        expect(pathProblem(broken)).toBeDefined();
      }),
    );
    expect(pathProblem('/a\u001fb')).toBe('the character U+001F at 2 is not allowed');
  });

  it('refuses characters beyond U+FFFF, which are surrogates in UTF-16', () => {
    expect(() => validatePath('/🐘')).toThrow(InvalidPathError);
  });

  it('refuses what is not a string at all', () => {
    // A caller without types.
    expect(() => validatePath(undefined as unknown as string)).toThrow('it must be a string');
  });

  it('gives an error with a stable code and the path', () => {
    expect(() => validatePath('/a//b')).toThrow(
      expect.objectContaining({ name: 'InvalidPathError', code: 'INVALID_PATH', path: '/a//b' }),
    );
    expect(() => validatePath('/a//b')).toThrow('invalid path "/a//b": it has an empty component');
  });
});

describe('the parts of a path', () => {
  it('make the path again', () => {
    fc.assert(
      fc.property(paths, (path) => {
        expect(joinPath(parentOf(path), nameOf(path))).toBe(path);
      }),
    );
  });

  it('of the root are the root and nothing', () => {
    expect(parentOf('/')).toBe('/');
    expect(nameOf('/')).toBe('');
    expect(parentOf('/a')).toBe('/');
    expect(nameOf('/a')).toBe('a');
    expect(parentOf('/a/b')).toBe('/a');
    expect(joinPath('/', 'a')).toBe('/a');
    expect(joinPath('/a', 'b')).toBe('/a/b');
  });
});

describe('a sequence number', () => {
  it.each(verdicts.sequences)('$counter is written as Java writes it', ({ counter, suffix }) => {
    expect(sequenceSuffix(counter)).toBe(suffix);
  });

  it('is found at the end of a name, whatever stands in front of it', () => {
    fc.assert(
      fc.property(names, fc.integer({ min: 0, max: 0x7fff_ffff }), (prefix, counter) => {
        expect(sequenceOf(prefix + sequenceSuffix(counter))).toBe(counter);
      }),
    );
  });

  it('is found when it is negative and has up to nine digits', () => {
    fc.assert(
      fc.property(names, fc.integer({ min: -999_999_999, max: -1 }), (prefix, counter) => {
        expect(sequenceOf(prefix + sequenceSuffix(counter))).toBe(counter);
      }),
    );
  });

  it('is found when the counter has just wrapped', () => {
    expect(sequenceOf(`n${sequenceSuffix(-0x8000_0000)}`)).toBe(-0x8000_0000);
    expect(sequenceOf(`lock-${sequenceSuffix(-0x8000_0000)}`)).toBe(-0x8000_0000);
  });

  it('of ten digits behind a minus sign is positive: the sign may belong to the name', () => {
    expect(sequenceOf('lock-2147483647')).toBe(0x7fff_ffff);
    expect(sequenceOf(`lock${sequenceSuffix(-0x7fff_ffff)}`)).toBe(0x7fff_ffff);
  });

  it.each(['', 'lock', 'lock-', 'lock-123', 'lock-00000000x', 'n4294967295', '0000000001-'])(
    'is not found in "%s"',
    (name) => {
      expect(sequenceOf(name)).toBeUndefined();
    },
  );
});
