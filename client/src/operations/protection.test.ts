import { describe, expect, it } from 'vitest';
import { protectedIdOf, randomUuid, toProtectedPath, withoutProtection } from './protection.ts';

const id = '0f6ec7ee-16e6-49dd-b9ad-6d5d2e2a1f3b';

describe('protected names', () => {
  it('carry the id in front of the last name of the path', () => {
    expect(toProtectedPath('/locks/lock-', id)).toBe(`/locks/_c_${id}-lock-`);
    expect(toProtectedPath('/lock-', id)).toBe(`/_c_${id}-lock-`);
    expect(toProtectedPath('/locks/', id)).toBe(`/locks/_c_${id}-`);
  });

  it.each([
    [`_c_${id}-lock-0000000001`, id, 'lock-0000000001'],
    [`_c_${id}-`, id, ''],
    [`_c_${id.toUpperCase()}-lock-`, id.toUpperCase(), 'lock-'],
    [`_c_${id}lock-`, undefined, `_c_${id}lock-`],
    ['_c_0f6ec7ee16e649ddb9ad6d5d2e2a1f3b-lock-', undefined, '_c_0f6ec7ee16e649ddb9ad6d5d2e2a1f3b-lock-'],
    [`x_c_${id}-lock-`, undefined, `x_c_${id}-lock-`],
    ['lock-0000000001', undefined, 'lock-0000000001'],
  ])('%s: id %s, name %s', (name, expectedId, plain) => {
    expect(protectedIdOf(name)).toBe(expectedId);
    expect(withoutProtection(name)).toBe(plain);
  });
});

describe('randomUuid', () => {
  it('is a version 4 UUID in lower case at both ends of the random range', () => {
    expect(randomUuid(() => 0)).toBe('00000000-0000-4000-8000-000000000000');
    expect(randomUuid(() => 1 - 2 ** -53)).toBe('ffffffff-ffff-4fff-bfff-ffffffffffff');
  });
});
