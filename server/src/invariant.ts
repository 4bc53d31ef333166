/**
 * What must be true, in production too. A broken invariant is a bug of this program or damage to its memory; the server stops,
 * because a wrong answer of a coordination service costs more than none.
 */

/** A statement about the program's own state was false. Never caught to go on. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
  readonly code = 'INVARIANT';
}

/**
 * Throws an {@link InvariantError} unless `condition` holds.
 * @param statement what was broken, in words; starts with the rule's name where it has one (`'TREE-4: …'`)
 * @param context what a reader of the crash needs to see. Not for hot paths: it is built on every call
 */
export function assert(
  condition: boolean,
  statement: string,
  context?: Readonly<Record<string, unknown>>,
): asserts condition {
  if (!condition) throw new InvariantError(context === undefined ? statement : `${statement} (${describe(context)})`);
}

/** Ends a `switch` over a union: a new case that nobody handles is a compile error. */
export function assertNever(value: never): never {
  throw new InvariantError(`a case that no type allows: ${String(value)}`);
}

const describe = (context: Readonly<Record<string, unknown>>): string =>
  Object.entries(context)
    .map(([name, value]) => `${name}: ${String(value)}`)
    .join(', ');
