/** The code in the documents, and what it takes to compile or run a block of it alone. */
import * as client from 'zookeeper-client-ts';
import * as recipes from 'zookeeper-recipes-ts';

/** One block of TypeScript. */
export interface DocumentBlock {
  readonly code: string;
  /** The one above it. */
  readonly heading: string;
  readonly line: number;
}

export function blocksOf(text: string): DocumentBlock[] {
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(({ 1: code = '', index }) => {
    const before = text.slice(0, index);
    return {
      code,
      heading: [...before.matchAll(/^#+ (.*)$/gm)].at(-1)?.[1] ?? '',
      line: before.split('\n').length + 1,
    };
  });
}

const packages = { 'zookeeper-client-ts': Object.keys(client), 'zookeeper-recipes-ts': Object.keys(recipes) };

/** Whether a name is used in the code, without having been declared or imported there. */
export const isMissing = (code: string, name: string): boolean => {
  const bare = code.replace(/'[^'\n]*'|\/\/[^\n]*/g, '');
  const isUsed = new RegExp(`(?<![.\\w])${name}\\b(?!:)`).test(bare);
  return (
    isUsed &&
    !new RegExp(`\\b(const|using|class|function|interface|type) ${name}\\b|import [^;]*\\b${name}\\b`).test(bare)
  );
};

/** The imports of a block, those that it leaves to its reader added, and the rest of it. */
export function withImports(code: string): { readonly imports: string; readonly body: string } {
  const added = Object.entries(packages).flatMap(([name, exports]) => {
    const missing = exports.filter((each) => isMissing(code, each));
    return missing.length === 0 ? [] : [`import { ${missing.join(', ')} } from '${name}';`];
  });
  const own = code.match(/^import [^;]*;$/gm) ?? [];
  return { imports: [...own, ...added].join('\n'), body: code.replace(/^import [^;]*;$/gm, '') };
}
