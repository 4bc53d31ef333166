/**
 * The replicated state against a naive model of it. Two properties: the database shows what the model shows after every
 * transaction; and a snapshot that was written in slices while transactions went on, with the log from its zxid replayed over
 * it, is the database in the end.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { joinPath, type Txn } from 'zookeeper-protocol-ts';
import { type Change, Database } from '../../server/src/database.ts';
import { DataTree } from '../../server/src/tree/data-tree.ts';
import type { Znode } from '../../server/src/tree/znode.ts';
import type { RestoredZnode } from '../../server/src/tree/znode-contents.ts';
import { Model, opened, request, shownByDatabase, shownByModel } from './tree-model.ts';

/** A znode as a snapshot would hold it. */
function persisted(tree: DataTree, node: Znode): RestoredZnode {
  const { ctime, mtime, version, aversion } = tree.stat(node);
  const zxids = { czxid: tree.czxid(node), mzxid: tree.mzxid(node), pzxid: tree.pzxid(node) };
  const stat = { ...zxids, ctime, mtime, version, cversion: tree.cversion(node), aversion, owner: tree.owner(node) };
  return { path: tree.pathOf(node), data: tree.data(node), aclId: tree.aclId(node), stat };
}

const eventOf = ({ type, path }: Change): string => `${type} ${path}`;

/** Znodes in a slice: so few that znodes are deleted and created anew before the snapshot gets to them. */
const slowly = fc.constantFrom(0, 0, 0, 1, 1, 2);

/** The original's walk (`DataTree.serializeNode`): a znode, then the children that it had just then, while the tree changes. */
function* walkFrom(path: string, tree: DataTree): Generator<Znode, void> {
  const node = tree.find(path);
  if (node === undefined) return;
  const names = tree.children(node);
  yield node;
  for (const name of names) yield* walkFrom(joinPath(path, name), tree);
}

function* walkTwice(tree: DataTree): Generator<Znode, void> {
  yield* walkFrom('/', tree);
  yield* walkFrom('/', tree);
}

describe('the database', () => {
  it('shows what a naive model shows, and tells of the same changes, after every transaction', () => {
    fc.assert(
      fc.property(fc.array(request, { minLength: 10, maxLength: 60 }), (requests) => {
        const model = new Model();
        const database = new Database();
        for (const one of [...opened, ...requests]) {
          const { txn, events } = model.execute(one);
          expect(database.apply(txn).changes.map(eventOf)).toEqual(events);
          expect(shownByDatabase(database)).toEqual(shownByModel(model));
          database.tree.assertConsistent();
        }
      }),
      { numRuns: 100 },
    );
  });

  /** @param leavesOutLater whether the snapshot leaves out znodes that were created after it had begun, as ours do */
  const fuzzySnapshotIsMadeWhole = (leavesOutLater: boolean) =>
    fc.assert(
      fc.property(
        fc.array(request, { minLength: 5, maxLength: 40 }),
        fc.array(fc.record({ before: request, znodes: slowly }), { minLength: 20, maxLength: 60 }),
        (requests, slices) => {
          const model = new Model();
          const database = new Database();
          for (const one of [...opened, ...requests]) database.apply(model.execute(one).txn);

          const start = database.lastZxid;
          const open = new Map(database.sessions);
          const restored = new DataTree([...database.tree.acls()]);
          const walk = leavesOutLater ? walkFrom('/', database.tree) : walkTwice(database.tree);
          const take = (count: number) => {
            for (let i = 0; i < count; i++) {
              const { value: node, done } = walk.next();
              if (done) return;
              const isLater = database.tree.czxid(node) > start;
              if (isLater && leavesOutLater) continue;
              expect(restored.restore(persisted(database.tree, node))).toBe(true);
            }
          };
          const log: Txn[] = [];
          for (const { before, znodes } of slices) {
            const { txn } = model.execute(before);
            database.apply(txn);
            log.push(txn);
            take(znodes);
          }
          take(Number.POSITIVE_INFINITY);
          restored.finishRestore();
          restored.assertConsistent();

          const recovered = new Database({ tree: restored, sessions: open, lastZxid: start });
          for (const txn of log) {
            recovered.apply(txn);
            recovered.tree.assertConsistent();
          }
          expect(shownByDatabase(recovered)).toEqual(shownByDatabase(database));
        },
      ),
      { numRuns: 200 },
    );

  it('comes whole out of a snapshot that was written while it changed, and the log from its start', () => {
    fuzzySnapshotIsMadeWhole(true);
  });

  it('comes whole out of a fuzzy snapshot that has later znodes too, and many of them twice', () => {
    fuzzySnapshotIsMadeWhole(false);
  });
});
