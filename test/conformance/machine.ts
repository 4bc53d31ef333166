/**
 * What the conformance suites need beside a port. The suites say what every implementation of a port does, the real one and
 * the simulated one; where the real machine can do something that the simulated one can't, the simulated one is wrong.
 */
export interface Machine {
  /** Lets time pass until the condition holds. Rejects when it doesn't within some seconds of the machine's time. */
  until(condition: () => boolean): Promise<void>;
}

const PATIENCE_MS = 5000;

/** The machine that the tests themselves run on. */
export const realMachine: Machine = {
  until: async (condition) => {
    const deadline = performance.now() + PATIENCE_MS;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`it did not happen within ${PATIENCE_MS} ms: ${condition}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  },
};

/** A machine that does one thing at a time when it is told to; `step` answers false when there is nothing left to do. */
export const steppedMachine = (step: () => boolean): Machine => ({
  until: async (condition) => {
    while (!condition()) {
      if (!step()) throw new Error(`nothing is left to do, and it did not happen: ${condition}`);
    }
  },
});
