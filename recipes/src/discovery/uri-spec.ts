/**
 * The form of a URI with variables in it, `{scheme}://{address}:{port}` (Curator's `UriSpec`), which an instance carries so that its
 * callers know how to reach it.
 *
 *     spec     = *(text / variable)
 *     variable = "{" name "}"        ; blanks around the name don't count; `{[}` and `{]}` are the braces themselves
 *
 * What must always hold: the parts are the form, also on the wire; text outside of variables is never changed. Fills in; escapes nothing.
 */
import { InvalidArgumentError } from 'zookeeper-client-ts';

/** A piece of text, or the name of a variable. */
export interface UriSpecPart {
  readonly value: string;
  readonly variable: boolean;
}

/** What is to be filled in, by the names of the variables. */
export type UriVariables = Readonly<Record<string, string | number | undefined>>;

/** What every form knows. */
const DEFAULTS: UriVariables = { '[': '{', ']': '}', scheme: 'http' };

/**
 * ```ts
 * new UriSpec('{scheme}://{address}:{port}/{version}').build({ address: '10.0.0.1', port: 8080, version: 'v2' });
 * ```
 */
export class UriSpec {
  readonly parts: readonly UriSpecPart[];

  /**
   * @param spec the text, or the parts as they came from another
   * @throws InvalidArgumentError if its braces are not in pairs
   */
  constructor(spec: string | readonly UriSpecPart[]) {
    this.parts = typeof spec === 'string' ? parse(spec) : [...spec];
  }

  /** The URI. A variable without a value leaves nothing. */
  build(variables: UriVariables = {}): string {
    const lookUp = (name: string): string | number | undefined => {
      for (const values of [variables, DEFAULTS]) {
        if (Object.hasOwn(values, name) && values[name] !== undefined) return values[name];
      }
      return undefined;
    };
    return this.parts.map(({ value, variable }) => (variable ? (lookUp(value) ?? '') : value)).join('');
  }
}

function parse(spec: string): UriSpecPart[] {
  const parts: UriSpecPart[] = [];
  let isVariable = false;
  for (const token of spec.split(/([{}])/)) {
    if (token === '{' || token === '}') {
      if ((token === '{') === isVariable) throw new InvalidArgumentError('spec', `a ${token} too many: ${spec}`);
      isVariable = !isVariable;
    } else if (token !== '') {
      parts.push({ value: isVariable ? token.trim() : token, variable: isVariable });
    }
  }
  if (isVariable) throw new InvalidArgumentError('spec', `a } is missing: ${spec}`);
  return parts;
}
