/** The operations of `multi` and `multiRead`, between the user's words and the wire's. */
import {
  ErrorCode,
  errorCodeName,
  OpCode,
  type Stat,
  type MultiOperation as WireOperation,
  type MultiResult as WireResult,
} from 'zookeeper-protocol-ts';
import { errorFromCode, InvalidArgumentError, MarshallingFailedError, type ZooKeeperError } from './errors.ts';
import type { Chroot } from './session/chroot.ts';
import { type CreateOptions, checkPath, checkVersion, toBytes, toWireCreate } from './zookeeper-arguments.ts';

/** One operation of a multi. The meaning of the fields is that of the method of the same name. */
export type MultiOperation =
  | ({ readonly kind: 'create'; readonly path: string } & CreateOptions)
  | { readonly kind: 'delete'; readonly path: string; readonly version?: number | undefined }
  | {
      readonly kind: 'setData';
      readonly path: string;
      readonly data: Uint8Array | string;
      readonly version?: number | undefined;
    }
  /** Fails the multi unless the znode exists, and has this version if one is given. */
  | { readonly kind: 'check'; readonly path: string; readonly version?: number | undefined };

/** What became of one operation of a multi that was applied. */
export type MultiResult =
  /** Servers of version 3.8 and before tell no stat. */
  | { readonly kind: 'create'; readonly path: string; readonly stat: Stat | undefined }
  | { readonly kind: 'setData'; readonly stat: Stat }
  | { readonly kind: 'delete' | 'check' };

/** One read of a multiRead. */
export type MultiReadOperation = { readonly kind: 'getData' | 'getChildren'; readonly path: string };

/** What one read of a multiRead was answered. They fail each for itself. */
export type MultiReadResult =
  | { readonly kind: 'getData'; readonly data: Buffer; readonly stat: Stat }
  | { readonly kind: 'getChildren'; readonly children: string[] }
  | { readonly kind: 'error'; readonly error: ZooKeeperError };

/** @throws InvalidArgumentError naming the operation by its index */
export function toWireOperation(operation: MultiOperation, index: number, chroot: Chroot): WireOperation {
  const at = `operations[${index}]`;
  switch (operation?.kind) {
    case 'create':
      return toWireCreate(operation.path, operation, chroot, `${at}.`);
    case 'setData': {
      const path = chroot.toServer(checkPath(operation.path, `${at}.path`));
      const data = toBytes(operation.data, `${at}.data`);
      return {
        type: OpCode.setData,
        request: { path, data, version: checkVersion(operation.version, `${at}.version`) },
      };
    }
    case 'delete':
    case 'check': {
      const path = chroot.toServer(checkPath(operation.path, `${at}.path`));
      return {
        type: OpCode[operation.kind],
        request: { path, version: checkVersion(operation.version, `${at}.version`) },
      };
    }
    default:
      throw new InvalidArgumentError(`${at}.kind`, 'no operation that a multi can hold');
  }
}

/**
 * The results of a multi that was applied.
 * @throws the error of the operation that failed it
 */
export function toMultiResults(
  operations: readonly MultiOperation[],
  results: readonly WireResult[],
  chroot: Chroot,
): MultiResult[] {
  const failed = results.findIndex((result) => result.type === OpCode.error && isFailure(result.err));
  const failure = results[failed];
  if (failure?.type === OpCode.error) {
    throw errorFromCode(failure.err, operations[failed]?.path, results.map(codeOf));
  }
  checkCount(operations, results);
  return results.map((result) => toMultiResult(result, chroot));
}

/** The operations before the one that failed say OK, those behind it RUNTIME_INCONSISTENCY. */
const isFailure = (err: number): boolean => err !== ErrorCode.OK && err !== ErrorCode.RUNTIME_INCONSISTENCY;

const codeOf = (result: WireResult): string => {
  const code = result.type === OpCode.error ? result.err : ErrorCode.OK;
  return errorCodeName(code) ?? String(code);
};

function checkCount(operations: readonly unknown[], results: readonly unknown[]): void {
  if (results.length === operations.length) return;
  throw new MarshallingFailedError(`a multi of ${operations.length} operations has ${results.length} results`);
}

/** @throws InvalidArgumentError naming the operation by its index */
export function toWireRead(operation: MultiReadOperation, index: number, chroot: Chroot): WireOperation {
  const { kind, path } = operation ?? {};
  if (kind !== 'getData' && kind !== 'getChildren') {
    throw new InvalidArgumentError(`operations[${index}].kind`, `${String(kind)} is no read that a multiRead can hold`);
  }
  const request = { path: chroot.toServer(checkPath(path, `operations[${index}].path`)), watch: false };
  return { type: OpCode[kind], request };
}

/** The results of a multiRead, those that are errors included. */
export function toMultiReadResults(
  operations: readonly MultiReadOperation[],
  results: readonly WireResult[],
): MultiReadResult[] {
  checkCount(operations, results);
  return results.map((result, index): MultiReadResult => {
    switch (result.type) {
      case OpCode.getData:
        // A copy: the bytes received are part of a larger chunk, which should not live as long as they do.
        return { kind: 'getData', data: Buffer.from(result.data ?? []), stat: result.stat };
      case OpCode.getChildren:
        return { kind: 'getChildren', children: [...result.children] };
      case OpCode.error:
        return { kind: 'error', error: errorFromCode(result.err, operations[index]?.path) };
      default:
        throw new MarshallingFailedError(`a multi of reads has a result of type ${result.type}`);
    }
  });
}

function toMultiResult(result: WireResult, chroot: Chroot): MultiResult {
  switch (result.type) {
    case OpCode.create:
      return { kind: 'create', path: chroot.toClient(result.path), stat: undefined };
    case OpCode.create2:
      return { kind: 'create', path: chroot.toClient(result.path), stat: result.stat };
    case OpCode.setData:
      return { kind: 'setData', stat: result.stat };
    case OpCode.delete:
      return { kind: 'delete' };
    case OpCode.check:
      return { kind: 'check' };
    default:
      throw new MarshallingFailedError(`a multi of writes has a result of type ${result.type}`);
  }
}
