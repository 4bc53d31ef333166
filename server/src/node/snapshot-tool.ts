import { basename } from 'node:path';
import { joinPath, type Stat, toHex } from 'zookeeper-protocol-ts';
import { parseSnapshotName } from '../storage/snapshot-format.ts';
import { readSnapshot, type Snapshot } from '../storage/snapshot-reader.ts';
import { StorageError } from '../storage/storage-error.ts';
import type { Znode } from '../tree/znode.ts';
import { nodeGzip } from './gzip.ts';
import { OpenedFile } from './readable-file.ts';
import { SystemMachine } from './system-machine.ts';
import type { ToolOutput } from './txnlog-tool.ts';

/**
 * The command `zksnapshot`: shows what is in a snapshot, of this server or of the original, in the form of the original's
 * `SnapshotFormatter`, or compares two of them. It reads only, and checks every checksum.
 */

const USAGE = `usage: zksnapshot [--data | --json] FILE
       zksnapshot --compare FILE FILE
  Prints the znodes and sessions of a snapshot (version-2/snapshot.*).
  --data     with the data, in base64, instead of its length
  --json     the sizes of the znodes, for ncdu
  --compare  what the second one has more, less, and otherwise than the first; exits with 1 if there is something`;

/** 0: done, or equal; 1: unreadable, or different; 2: bad invocation. */
const ExitCode = { OK: 0, FAILED: 1, BAD_INVOCATION: 2 } as const;

/** Runs the command. @returns the exit code */
export function snapshotTool(words: readonly string[], output: ToolOutput): number {
  const [option, ...moreOptions] = words.filter((word) => word.startsWith('--'));
  const [first, second, ...rest] = words.filter((word) => !word.startsWith('--'));
  const isComparison = option === '--compare';
  const isKnown = isComparison || option === undefined || option === '--data' || option === '--json';
  if (
    first === undefined ||
    rest.length > 0 ||
    moreOptions.length > 0 ||
    !isKnown ||
    isComparison === (second === undefined)
  ) {
    output.complain(USAGE);
    return ExitCode.BAD_INVOCATION;
  }
  try {
    const snapshot = load(first);
    if (second !== undefined) return compare(snapshot, load(second), output);
    if (option === '--json') printJson(snapshot, output);
    else printDetails(snapshot, { withData: option === '--data' }, output);
    return ExitCode.OK;
  } catch (error) {
    const isAboutFile = error instanceof StorageError || (error instanceof Error && 'syscall' in error);
    if (!isAboutFile) throw error;
    output.complain(error.message);
    return ExitCode.FAILED;
  }
}

function load(path: string): Snapshot {
  const name = parseSnapshotName(basename(path));
  if (name === undefined) throw new StorageError('SNAPSHOT_UNREADABLE', 'not the name of a snapshot', { file: path });
  using file = new OpenedFile(path);
  return readSnapshot(file, name, nodeGzip);
}

function printDetails(
  { tree, sessions, zxid }: Snapshot,
  { withData }: { withData: boolean },
  { print }: ToolOutput,
): void {
  print(`ZNode Details (count=${tree.nodeCount}):`);
  // A fuzzy snapshot holds traces of transactions behind the one in its name: the latest of them counts, as in the original.
  let lastZxid = zxid;
  for (const [node, path] of walk(tree)) {
    for (const seen of [tree.mzxid(node), tree.pzxid(node)]) if (seen > lastZxid) lastZxid = seen;
    print('----');
    print(path);
    const stat = tree.stat(node);
    print(`  cZxid = ${padded(stat.czxid)}`);
    print(`  ctime = ${formatTime(stat.ctime)}`);
    print(`  mZxid = ${padded(stat.mzxid)}`);
    print(`  mtime = ${formatTime(stat.mtime)}`);
    print(`  pZxid = ${padded(stat.pzxid)}`);
    print(`  cversion = ${tree.cversion(node)}`);
    print(`  dataVersion = ${stat.version}`);
    print(`  aclVersion = ${stat.aversion}`);
    print(`  ephemeralOwner = ${padded(tree.owner(node))}`);
    if (withData) print(`  data = ${Buffer.from(tree.data(node) ?? []).toString('base64')}`);
    else print(`  dataLength = ${stat.dataLength}`);
  }
  print('----');
  print('Session Details (sid, timeout, ephemeralCount):');
  for (const [sessionId, timeoutMs] of sessions) {
    print(`${padded(sessionId)}, ${timeoutMs}, ${tree.ephemeralsOf(sessionId).length}`);
  }
  print('----');
  print(`Last zxid: ${toHex(lastZxid)}`);
}

/** Depth first, names in order. */
function* walk(tree: Snapshot['tree']): Generator<readonly [node: Znode, path: string]> {
  const paths = ['/'];
  for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
    const node = tree.find(path);
    if (node === undefined) continue;
    yield [node, path];
    const names = tree.children(node).sort().reverse();
    for (const name of names) paths.push(joinPath(path, name));
  }
}

/** What ncdu reads: `[1, 0, about, [znode, child…]]`. */
function printJson({ tree }: Snapshot, { print }: ToolOutput): void {
  const about = { progname: 'zksnapshot', progver: '0.01', timestamp: Date.now() };
  let inode = 1000;
  const parts: string[] = [];
  const open: string[] = [];
  for (const [node, path] of walk(tree)) {
    while (open.length > 0 && !isBelow(path, open.at(-1) ?? '')) {
      open.pop();
      parts.push(']');
    }
    const name = path === '/' ? '/' : path.slice(path.lastIndexOf('/') + 1);
    const size = tree.stat(node).dataLength;
    const isLeaf = tree.numChildren(node) === 0;
    const entry = JSON.stringify({ name, asize: size, dsize: size, dev: 0, ino: ++inode });
    if (isLeaf) {
      parts.push(`,${entry}`);
    } else {
      parts.push(`,[${entry}`);
      open.push(path);
    }
  }
  print(`[1,0,${JSON.stringify(about)}${parts.join('')}${']'.repeat(open.length)}]`);
}

const isBelow = (path: string, above: string): boolean => path.startsWith(above === '/' ? '/' : `${above}/`);

function compare(before: Snapshot, after: Snapshot, { print }: ToolOutput): number {
  const differences: string[] = [];
  for (const [node, path] of walk(before.tree)) {
    const other = after.tree.find(path);
    if (other === undefined) differences.push(`- ${path}`);
    else differences.push(...changesOf(path, fieldsOf(before, node), fieldsOf(after, other)));
  }
  for (const [, path] of walk(after.tree)) if (before.tree.find(path) === undefined) differences.push(`+ ${path}`);
  const sessions = new Set([...before.sessions.keys(), ...after.sessions.keys()]);
  for (const sessionId of sessions) {
    const [was, is] = [before.sessions.get(sessionId), after.sessions.get(sessionId)];
    if (was === is) continue;
    const name = `session ${toHex(sessionId)}`;
    if (is === undefined) differences.push(`- ${name}`);
    else differences.push(was === undefined ? `+ ${name}, ${is} ms` : `~ ${name} timeout: ${was} → ${is} ms`);
  }
  for (const difference of differences) print(difference);
  const [from, to] = [before, after].map(
    ({ tree, zxid }) => `zxid ${toHex(zxid)}, ${tree.nodeCount} znodes, digest ${toHex(tree.digest)}`,
  );
  print(`${differences.length} differences between ${from} and ${to}`);
  return differences.length === 0 ? ExitCode.OK : ExitCode.FAILED;
}

type Fields = ReadonlyMap<string, string>;

function fieldsOf({ tree }: Snapshot, node: Znode): Fields {
  const { numChildren: _, ...stat }: Stat = tree.stat(node);
  const fields = new Map<string, string>();
  for (const [name, value] of Object.entries(stat))
    fields.set(name, typeof value === 'bigint' ? toHex(value) : String(value));
  fields.set('cversion', String(tree.cversion(node)));
  fields.set('ephemeralOwner', toHex(tree.owner(node)));
  fields.set('acl', JSON.stringify(tree.aclOf(node)));
  fields.set('data', Buffer.from(tree.data(node) ?? []).toString('base64'));
  return fields;
}

function changesOf(path: string, before: Fields, after: Fields): string[] {
  const changes: string[] = [];
  for (const [name, was] of before) {
    const is = after.get(name);
    if (is !== was) changes.push(`~ ${path} ${name}: ${was} → ${is}`);
  }
  return changes;
}

/** `%#016x` of the original: with its prefix, 16 characters at the least. */
const padded = (id: bigint): string => `0x${BigInt.asUintN(64, id).toString(16).padStart(14, '0')}`;

const machine = new SystemMachine();
const formatTime = (ms: number): string => machine.formatTime(ms);
