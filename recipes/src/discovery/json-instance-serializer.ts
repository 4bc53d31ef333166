/**
 * Instances as JSON, to the byte as Curator's `JsonInstanceSerializer` writes them (members in this order, null where there is nothing; only
 * that the escapes of control characters have small digits, `\u001b`):
 *
 *     {"name":…,"id":…,"address":…,"port":…,"sslPort":…,"payload":…,"registrationTimeUTC":…,"serviceType":…,
 *      "uriSpec":{"parts":[{"value":…,"variable":…},…]},"enabled":…}
 *
 *     payload = null / string / number / boolean
 *             / {"@class": class, members}         ; an object; the class may be missing
 *             / [class, value]                     ; anything else
 *
 * `enabled` is written only if the serializer is not `compatible`: readers from before there was one may refuse it. Missing means true.
 *
 * What must always hold: what others have written and this version doesn't know is written again as it was read (whole numbers beyond
 * 2^53 lose digits, as everywhere in JSON here).
 */
import { InvalidArgumentError } from 'zookeeper-client-ts';
import { json, type Serializer } from '../serializer.ts';
import type { ServiceInstance, ServiceType } from './service-instance.ts';
import { UriSpec, type UriSpecPart } from './uri-spec.ts';

/** How to write and read. */
export interface JsonInstanceSerializerOptions<T> {
  /** Makes the payload from what the JSON says of it, and throws if it isn't one. Without it everything is believed. */
  readonly parsePayload?: ((value: unknown) => T) | undefined;
  /** Leave `enabled` out. True by default, as in Curator; an instance that is not enabled is then refused. */
  readonly compatible?: boolean | undefined;
}

/** See the top of the file. Reading throws TypeError for what is no instance. */
export class JsonInstanceSerializer<T = unknown> implements Serializer<ServiceInstance<T>> {
  readonly #options: JsonInstanceSerializerOptions<T>;
  readonly #json = json<unknown>();

  constructor(options: JsonInstanceSerializerOptions<T> = {}) {
    this.#options = options;
  }

  /** @throws InvalidArgumentError for an instance that is not enabled, if this serializer is `compatible` */
  serialize(instance: ServiceInstance<T>): Uint8Array {
    const { compatible = true } = this.#options;
    const { name, id, address, port, sslPort, registrationTimeUTC, serviceType, uriSpec, enabled } = instance;
    if (compatible && !enabled) {
      // Left out it would mean the opposite.
      throw new InvalidArgumentError('enabled', `false can't be said in the compatible form: ${name}/${id}`);
    }
    return this.#json.serialize({
      name,
      id,
      address: address ?? null,
      port: port ?? null,
      sslPort: sslPort ?? null,
      payload: toPayloadJson(instance),
      registrationTimeUTC,
      serviceType,
      uriSpec: uriSpec === undefined ? null : { parts: uriSpec.parts },
      ...(!compatible && { enabled }),
      ...instance.otherMembers,
    });
  }

  deserialize(data: Uint8Array): ServiceInstance<T> {
    const members = this.#json.deserialize(data);
    if (!isObject(members)) throw new TypeError('an instance is an object');
    const { name, id, address, port, sslPort, payload, registrationTimeUTC, serviceType, uriSpec, enabled, ...others } =
      members;
    return {
      name: text('name', name),
      id: text('id', id),
      address: orNothing(address, (value) => text('address', value)),
      port: orNothing(port, (value) => whole('port', value)),
      sslPort: orNothing(sslPort, (value) => whole('sslPort', value)),
      ...this.#toPayload(payload),
      registrationTimeUTC: orNothing(registrationTimeUTC, (value) => whole('registrationTimeUTC', value)) ?? 0,
      serviceType: orNothing(serviceType, toServiceType) ?? 'DYNAMIC',
      uriSpec: orNothing(uriSpec, toUriSpec),
      enabled: orNothing(enabled, (value) => truth('enabled', value)) ?? true,
      ...(Object.keys(others).length > 0 && { otherMembers: others }),
    };
  }

  #toPayload(stored: unknown): Pick<ServiceInstance<T>, 'payload' | 'payloadClass'> {
    const { payloadClass, value } = splitPayload(stored);
    // Without `parsePayload` the caller says what others write.
    const { parsePayload = (each: unknown) => each as T } = this.#options;
    const payload = orNothing(value, parsePayload);
    return payloadClass === undefined ? { payload } : { payload, payloadClass };
  }
}

function toPayloadJson({ payload, payloadClass }: ServiceInstance): unknown {
  if (payload === undefined || payload === null) return null;
  if (Array.isArray(payload)) return [payloadClass ?? 'java.util.ArrayList', payload];
  if (payloadClass === undefined) return payload;
  return isObject(payload) ? { '@class': payloadClass, ...payload } : [payloadClass, payload];
}

function splitPayload(stored: unknown): { readonly payloadClass: string | undefined; readonly value: unknown } {
  if (Array.isArray(stored) && stored.length === 2 && typeof stored[0] === 'string') {
    return { payloadClass: stored[0], value: stored[1] };
  }
  if (isObject(stored) && typeof stored['@class'] === 'string') {
    const { '@class': payloadClass, ...value } = stored;
    return { payloadClass, value };
  }
  return { payloadClass: undefined, value: stored };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const orNothing = <V>(value: unknown, read: (value: unknown) => V): V | undefined =>
  value === undefined || value === null ? undefined : read(value);

function text(member: string, value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`${member} is no string`);
  return value;
}

function whole(member: string, value: unknown): number {
  if (!Number.isSafeInteger(value)) throw new TypeError(`${member} is no whole number`);
  return value as number; // isSafeInteger is true of numbers alone
}

function truth(member: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${member} is neither true nor false`);
  return value;
}

function toServiceType(value: unknown): ServiceType {
  switch (value) {
    case 'DYNAMIC':
    case 'DYNAMIC_SEQUENTIAL':
    case 'STATIC':
    case 'PERMANENT':
      return value;
    default:
      throw new TypeError(`serviceType is none: ${String(value)}`);
  }
}

function toUriSpec(value: unknown): UriSpec {
  if (!isObject(value) || !Array.isArray(value.parts)) throw new TypeError('uriSpec has no parts');
  return new UriSpec(value.parts.map(toPart));
}

function toPart(part: unknown): UriSpecPart {
  if (!isObject(part)) throw new TypeError('a part of uriSpec is no object');
  return { value: text('uriSpec', part.value), variable: truth('uriSpec', part.variable) };
}
