import type { Disk, DiskFile, Done } from '../ports.ts';

/** One piece of work on a disk. */
export type Step = (next: Done) => void;

/** Runs one step after the other; the first error ends it. With at least one step, `done` is called as late as the steps are. */
export function inOrder(steps: readonly Step[], done: Done): void {
  const run = (at: number): void => {
    const step = steps[at];
    if (step === undefined) return done(null);
    step((error) => (error === null ? run(at + 1) : done(error)));
  };
  run(0);
}

/** The step that opens a file, works on it and closes it. */
export function onFile(disk: Disk, name: string, work: (file: DiskFile, next: Done) => void): Step {
  return (next) => {
    let file: DiskFile;
    try {
      file = disk.open(name);
    } catch (error) {
      return next(error instanceof Error ? error : new Error(`${name} can't be opened`, { cause: error }));
    }
    work(file, (error) => {
      file.close();
      next(error);
    });
  };
}
