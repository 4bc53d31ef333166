export { type AcquireOptions, AcquireTimeoutError } from './acquire-timeout.ts';
export { DistributedAtomicInteger } from './atomic-integer.ts';
export { DistributedAtomicLong } from './atomic-long.ts';
export type { Arithmetic, DistributedAtomicNumber } from './atomic-number.ts';
export { type AtomicValueOptions, DistributedAtomicValue } from './atomic-value.ts';
export type {
  AtomicCallOptions,
  AtomicOptions,
  AtomicResult,
  AtomicStats,
  AtomicZnode,
  PromotedToLock,
} from './atomic-znode.ts';
export { DistributedBarrier } from './barrier.ts';
export { CachedAtomicInteger, CachedAtomicLong } from './cached-atomic-number.ts';
export { IllegalTrySetVersionError } from './conditional-write.ts';
export { type ChildData, CuratorCache, type CuratorCacheEvents, type CuratorCacheOptions } from './curator-cache.ts';
export { DistributedDelayQueue } from './delay-queue.ts';
export type { DownInstancePolicy } from './discovery/down-instances.ts';
export { JsonInstanceSerializer, type JsonInstanceSerializerOptions } from './discovery/json-instance-serializer.ts';
export {
  type ProviderStrategy,
  RandomStrategy,
  RoundRobinStrategy,
  StickyStrategy,
} from './discovery/provider-strategy.ts';
export { ServiceCache, type ServiceCacheEvents } from './discovery/service-cache.ts';
export {
  type DiscoveryPathConstructor,
  ServiceDiscovery,
  type ServiceDiscoveryOptions,
} from './discovery/service-discovery.ts';
export {
  buildUri,
  makeServiceInstance,
  type ServiceInstance,
  type ServiceInstanceOptions,
  type ServiceType,
} from './discovery/service-instance.ts';
export { ServiceProvider, type ServiceProviderOptions } from './discovery/service-provider.ts';
export { UriSpec, type UriSpecPart, type UriVariables } from './discovery/uri-spec.ts';
export { DistributedDoubleBarrier } from './double-barrier.ts';
export { GroupMember, type GroupMemberEvents, type GroupMemberOptions, type GroupMembers } from './group-member.ts';
export { HeldTogether } from './held-together.ts';
export { DistributedIdQueue } from './id-queue.ts';
export {
  type ConsumeOptions,
  type ErrorMode,
  type OnMessageOptions,
  type QueueOptions,
  UnknownItemError,
} from './item-queue.ts';
export { LeaderLatch, type LeaderLatchOptions } from './leader-latch.ts';
export { LeaderSelector, type LeaderSelectorListener, type LeaderSelectorOptions } from './leader-selector.ts';
export { UnknownContenderError } from './line.ts';
export type { LineLock, LockAcquireOptions, LockEvents, LockOptions } from './line-lock.ts';
export type { Held, InterProcessLock } from './lock.ts';
export { InterProcessMultiLock } from './multi-lock.ts';
export { InterProcessMutex } from './mutex.ts';
export { NodeCache, type NodeCacheEvents, type NodeCacheOptions } from './node-cache.ts';
export { Ownership, OwnershipLostError, type OwnershipLostReason } from './ownership.ts';
export type { Participant } from './participant.ts';
export {
  PathChildrenCache,
  type PathChildrenCacheEvents,
  type PathChildrenCacheOptions,
} from './path-children-cache.ts';
export { PersistentNode, type PersistentNodeEvents, type PersistentNodeOptions } from './persistent-node.ts';
export { PersistentTtlNode, type PersistentTtlNodeOptions } from './persistent-ttl-node.ts';
export {
  PersistentWatcher,
  type PersistentWatcherEvents,
  type PersistentWatcherOptions,
} from './persistent-watcher.ts';
export { DistributedPriorityQueue, type PriorityQueueOptions } from './priority-queue.ts';
export { DistributedQueue } from './queue.ts';
export type { Delivery } from './queue-delivery.ts';
export type { QueueMessage } from './queue-message.ts';
export type { CallbackConsumer } from './queue-message-loop.ts';
export type { PutOptions } from './queue-producer.ts';
export { InterProcessReadWriteLock, LockUpgradeError } from './read-write-lock.ts';
export { type RecipeState, RecipeStateError } from './recipe-state.ts';
export { attemptRevoke } from './revocation.ts';
export { InterProcessSemaphoreV2, type SemaphoreOptions, type SharedCountReader } from './semaphore.ts';
export { InterProcessSemaphoreMutex } from './semaphore-mutex.ts';
export { bytes, DeserializationError, deserialize, json, type Serializer, string } from './serializer.ts';
export { SharedCount, type SharedCountEvents } from './shared-count.ts';
export {
  SharedValue,
  type SharedValueCallOptions,
  type SharedValueEvents,
  type SharedValueOptions,
  type VersionedValue,
} from './shared-value.ts';
export { SimpleDistributedQueue } from './simple-queue.ts';
export { TreeCache, type TreeCacheEvents, type TreeCacheOptions, type TreeCacheSelector } from './tree-cache.ts';
