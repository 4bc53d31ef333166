/**
 * How a scenario's transcript says what a server said: records field by field, with zxids counted from the start of the scenario,
 * sessions by the names of their clients, the scenario's own root as `~`, and of times only whether they are sane.
 */
import type { SessionId, Zxid } from 'zookeeper-protocol-ts';

/** The clocks of the servers are this machine's. */
const SANE_MS = 60_000;

/** Longer strings and data are shown by their length. */
const SHOWN_MAX = 160;

export class Words {
  readonly #root: string;
  readonly #sessions = new Map<bigint, string>();
  /** The last zxid before the scenario. */
  #start = 0n;

  constructor(root: string) {
    this.#root = root;
  }

  startAt(zxid: Zxid): void {
    this.#start = zxid;
  }

  nameSession(id: SessionId, name: string): void {
    if (!this.#sessions.has(id)) this.#sessions.set(id, name);
  }

  zxid(zxid: bigint): string {
    if (zxid <= 0n) return `zxid ${zxid}`;
    return zxid <= this.#start ? 'z-' : `z+${zxid - this.#start}`;
  }

  /** Any value of a record, by the name of its field. */
  of(value: unknown, field = ''): string {
    switch (typeof value) {
      case 'undefined':
        return '';
      case 'bigint':
        return this.#id(value, field);
      case 'number':
        return field === 'ctime' || field === 'mtime' ? time(value) : String(value);
      case 'string':
        return this.#text(value);
      case 'object':
        return value === null ? 'null' : this.#object(value, field);
      default:
        return String(value);
    }
  }

  #id(value: bigint, field: string): string {
    if (/zxid$/i.test(field)) return this.zxid(value);
    if (field !== 'ephemeralOwner' && field !== 'sessionId') return String(value);
    return value === 0n ? 'nobody' : (this.#sessions.get(value) ?? 'a stranger');
  }

  #text(value: string): string {
    const text = value.replaceAll(this.#root, '~');
    return text.length > SHOWN_MAX ? `a string of ${text.length}` : JSON.stringify(text);
  }

  #object(value: object, field: string): string {
    if (value instanceof Uint8Array) {
      if (field === 'password') return value.every((byte) => byte === 0) ? 'zeros' : 'set';
      return this.#text(Buffer.from(value).toString('latin1'));
    }
    if (Array.isArray(value)) {
      const elements = value.map((element) => this.of(element));
      // The original lists them in the order of a hash table.
      if (field === 'children' || field === 'ephemerals' || field === 'clientInfo') elements.sort();
      return elements.length > 20 ? `a list of ${elements.length}` : `[${elements.join(', ')}]`;
    }
    const fields = Object.entries(value).map(([name, inner]) => `${name} ${this.of(inner, name)}`);
    return `{${fields.join(', ')}}`;
  }
}

const time = (value: number): string => {
  if (value === 0) return 'none';
  return Math.abs(value - Date.now()) < SANE_MS ? 'now' : `insane (${value})`;
};
