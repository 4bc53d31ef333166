import { describe, expect, it } from 'vitest';
import { makeZxid, toEpoch } from 'zookeeper-protocol-ts';
import { type EpochFile, readEpochs, saveEpoch } from './epoch-files.ts';
import { MemoryDisk } from './memory-disk.ts';

const save = (disk: MemoryDisk, name: EpochFile, epoch: number): Promise<void> =>
  new Promise((resolve, reject) => {
    saveEpoch(disk, name, toEpoch(epoch), (error) => (error === null ? resolve() : reject(error)));
  });

const emptyDisk = (): MemoryDisk => new MemoryDisk({ soon: (run) => queueMicrotask(run) });

describe('the epoch files', () => {
  it('are not there at first: the epochs are those of the history', () => {
    expect(readEpochs(emptyDisk(), makeZxid(toEpoch(3), 7))).toEqual({ accepted: 3, current: 3 });
  });

  it('hold what was saved last', async () => {
    const disk = emptyDisk();
    await save(disk, 'acceptedEpoch', 4);
    await save(disk, 'acceptedEpoch', 12);
    await save(disk, 'currentEpoch', 9);
    expect(readEpochs(disk, makeZxid(toEpoch(3), 7))).toEqual({ accepted: 12, current: 9 });
    expect(disk.list()).toEqual(['acceptedEpoch', 'currentEpoch']);
  });

  it('have nothing of a file that a crash left unfinished (ZOOKEEPER-4269)', async () => {
    const files = [['acceptedEpoch.tmp', Buffer.from('1234')]] as const;
    const disk = new MemoryDisk({ soon: (run) => queueMicrotask(run), files });
    await save(disk, 'acceptedEpoch', 7);
    expect(readEpochs(disk, makeZxid(toEpoch(3), 7))).toMatchObject({ accepted: 7 });
  });

  it('may be behind the history, whose server died before it had begun that epoch', async () => {
    const disk = emptyDisk();
    await save(disk, 'acceptedEpoch', 6);
    await save(disk, 'currentEpoch', 5);
    expect(readEpochs(disk, makeZxid(toEpoch(6), 1))).toEqual({ accepted: 6, current: 5 });
  });

  it('claim nothing when an epoch was accepted and none was ever begun', async () => {
    const disk = emptyDisk();
    await save(disk, 'acceptedEpoch', 3);
    expect(readEpochs(disk, makeZxid(toEpoch(3), 97))).toEqual({ accepted: 3, current: 0 });
  });

  it('stop the start when less was accepted than begun, or the history is ahead of them', async () => {
    const disk = emptyDisk();
    await save(disk, 'acceptedEpoch', 4);
    await save(disk, 'currentEpoch', 5);
    expect(() => readEpochs(disk, makeZxid(toEpoch(3), 7))).toThrow('the current epoch is 5, and only 4 was accepted');
    await save(disk, 'acceptedEpoch', 6);
    expect(() => readEpochs(disk, makeZxid(toEpoch(7), 1))).toThrow(
      expect.objectContaining({ code: 'EPOCH_INCONSISTENT' }),
    );
  });
});
