/**
 * The syntax of zoo.cfg: a Java properties file (`java.util.Properties.load`). A line is `key=value`, `key:value` or
 * `key value`; `#` or `!` starts a comment line; a backslash at the end of a line continues it, and elsewhere escapes the next
 * character (`\t`, `\n`, `\r`, `\f`, `\u0041`).
 */

export interface Property {
  readonly key: string;
  /** Without white space around it, as the original takes values. */
  readonly value: string;
  /** The line that it starts on, from 1. */
  readonly line: number;
}

/** A line that the syntax doesn't allow: a `\u` that four hex digits don't follow. */
export class PropertySyntaxError extends Error {
  override readonly name = 'PropertySyntaxError';
  readonly line: number;

  constructor(line: number, what: string) {
    super(what);
    this.line = line;
  }
}

/**
 * The properties in the order of the text, repeated keys included.
 * @throws PropertySyntaxError
 */
export function readProperties(text: string): Property[] {
  const properties: Property[] = [];
  const lines = text.split(/\r\n|\r|\n/);
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1;
    let logical = withoutIndent(lines[at] ?? '');
    if (logical === '' || logical.startsWith('#') || logical.startsWith('!')) continue;
    while (isContinued(logical)) logical = logical.slice(0, -1) + withoutIndent(lines[++at] ?? '');
    if (logical === '') continue;
    const { key, value } = split(logical);
    properties.push({ key: withoutEscapes(key, line).trim(), value: withoutEscapes(value, line).trim(), line });
  }
  return properties;
}

const withoutIndent = (line: string): string => line.replace(/^[ \t\f]+/, '');

/** Ends with an odd number of backslashes. */
const isContinued = (line: string): boolean => (/\\+$/.exec(line)?.[0].length ?? 0) % 2 === 1;

/** The key ends before the first `=`, `:` or white space that no backslash escapes. */
function split(logical: string): { key: string; value: string } {
  let end = 0;
  while (end < logical.length && !' \t\f=:'.includes(logical.charAt(end))) end += logical.charAt(end) === '\\' ? 2 : 1;
  return { key: logical.slice(0, end), value: logical.slice(end).replace(/^[ \t\f]*[=:]?[ \t\f]*/, '') };
}

const CONTROL: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

function withoutEscapes(text: string, line: number): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|.)/gs, (_, escaped: string) => {
    if (escaped.length > 1) return String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    if (escaped === 'u') throw new PropertySyntaxError(line, '\\u is not followed by four hex digits');
    return CONTROL[escaped] ?? escaped;
  });
}
