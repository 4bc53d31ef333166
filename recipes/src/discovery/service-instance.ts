/**
 * One instance of a service, as it is announced to others (Curator's `ServiceInstance`): a plain object, never changed. To say something
 * else of it, make another: `{ ...instance, enabled: false }`, which also carries on what this version doesn't know of it.
 */
import { InvalidArgumentError } from 'zookeeper-client-ts';
import { localAddress } from './local-address.ts';
import type { UriSpec, UriVariables } from './uri-spec.ts';

/**
 * How long an instance is announced:
 * - `DYNAMIC`: as long as the process lives that registered it (an ephemeral znode).
 * - `DYNAMIC_SEQUENTIAL`: likewise; the servers append a number to its id, in the name of the znode alone.
 * - `STATIC`: until it is unregistered, or its `ServiceDiscovery` is closed; it survives the process.
 * - `PERMANENT`: until it is unregistered.
 */
export type ServiceType = 'DYNAMIC' | 'DYNAMIC_SEQUENTIAL' | 'STATIC' | 'PERMANENT';

export interface ServiceInstance<T = unknown> {
  /** Of the service. */
  readonly name: string;
  /** Of the instance; different from that of all others of the service. */
  readonly id: string;
  readonly address?: string | undefined;
  readonly port?: number | undefined;
  readonly sslPort?: number | undefined;
  /** Whatever else its callers should know. */
  readonly payload?: T | undefined;
  /**
   * For Java: the class of the payload. An object needs it where the other side expects a class of its own; a scalar where it isn't
   * String, Boolean, Integer or Double. An array is a `java.util.ArrayList` without it.
   */
  readonly payloadClass?: string | undefined;
  /** Ms since 1970. */
  readonly registrationTimeUTC: number;
  readonly serviceType: ServiceType;
  /** How to reach it; see {@link buildUri}. */
  readonly uriSpec?: UriSpec | undefined;
  /** False: it is there, and not to be used. Announced only by a serializer that is not `compatible`. */
  readonly enabled: boolean;
  /** Members of its JSON that this version doesn't know, as they were read. */
  readonly otherMembers?: Readonly<Record<string, unknown>> | undefined;
}

/** What {@link makeServiceInstance} can't guess, and what it need not. */
export type ServiceInstanceOptions<T> = Partial<ServiceInstance<T>> & Pick<ServiceInstance<T>, 'name'>;

/**
 * An instance with Curator's defaults: a random `id`, the first `address` of this machine that others may reach, registered now, DYNAMIC,
 * enabled.
 * @throws InvalidArgumentError if the name or the id can't be that of a znode
 */
export function makeServiceInstance<T = unknown>(options: ServiceInstanceOptions<T>): ServiceInstance<T> {
  const {
    id = crypto.randomUUID(),
    address = localAddress(),
    registrationTimeUTC = Date.now(),
    serviceType = 'DYNAMIC',
    enabled = true,
  } = options;
  const instance = { ...options, id, address, registrationTimeUTC, serviceType, enabled };
  checkNames(instance);
  return instance;
}

/** @throws InvalidArgumentError if the name or the id can't be that of a znode */
export function checkNames({ name, id }: Pick<ServiceInstance, 'name' | 'id'>): void {
  for (const [argument, value] of [
    ['name', name],
    ['id', id],
  ] as const) {
    if (typeof value !== 'string' || value === '' || value.includes('/')) {
      throw new InvalidArgumentError(argument, `'${String(value)}' is no name of a znode`);
    }
  }
}

/**
 * The URI of an instance, by its `uriSpec`; empty without one. Its variables are `name`, `id`, `address`, `port`, `ssl-port`, `scheme`
 * (`https` if there is a port for it, else `http`), `registration-time-utc`, `service-type` (in lower case), and what the caller adds,
 * which goes first.
 */
export function buildUri(instance: ServiceInstance, variables: UriVariables = {}): string {
  const { name, id, address, port, sslPort, registrationTimeUTC, serviceType, uriSpec } = instance;
  const own: UriVariables = {
    name,
    id,
    address,
    port,
    'ssl-port': sslPort,
    scheme: sslPort === undefined ? 'http' : 'https',
    'registration-time-utc': registrationTimeUTC,
    'service-type': serviceType.toLowerCase(),
  };
  return uriSpec?.build({ ...own, ...variables }) ?? '';
}

/** The same for two objects that speak of one registration of one instance. */
export const registrationKeyOf = ({ name, id, registrationTimeUTC }: ServiceInstance): string =>
  `${name}/${id}/${registrationTimeUTC}`;
