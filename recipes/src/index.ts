export { UnknownContenderError } from './contenders.ts';
export { LeaderLatch, type LeaderLatchOptions } from './leader-latch.ts';
export { LeaderSelector, type LeaderSelectorListener, type LeaderSelectorOptions } from './leader-selector.ts';
export { Ownership, OwnershipLostError, type OwnershipLostReason } from './ownership.ts';
export type { Participant } from './participant.ts';
export { type RecipeState, RecipeStateError } from './recipe-state.ts';
