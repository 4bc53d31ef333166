/**
 * What a server counts about itself, under the names of the original (`ServerMetrics`). The server adds to these fields as
 * it works; only an administrator's question reads them. Adding is an increment: nothing is allocated, looked up or sorted.
 *
 * What must hold: a counter never falls and a summary never forgets, but by `srst`, which sets all of them back.
 */
export class ServerMetrics {
  readonly counters: Counters = noCounts();

  readonly summaries = {
    /** From the arrival of a request that needed no agreement to its answer, ms. */
    readlatency: new Summary({ withPercentiles: true }),
    /** The same of a write. */
    updatelatency: new Summary({ withPercentiles: true }),
    /** How long forcing the log to the disk took, ms. */
    fsynctime: new Summary(),
    /** How long writing a snapshot took, ms. */
    snapshottime: new Summary(),
    /** How long reading snapshot and logs at the start took, ms. */
    dbinittime: new Summary(),
    startup_txns_loaded: new Summary(),
    /** Tokens of the connection throttle that are taken, at each connect request. */
    connection_token_deficit: new Summary(),
    /** Watchers that one event was told to, by its type. */
    node_created_watch_count: new Summary(),
    node_deleted_watch_count: new Summary(),
    node_changed_watch_count: new Summary(),
    node_children_watch_count: new Summary(),
  } as const satisfies Readonly<Record<string, Summary>>;

  reset(): void {
    Object.assign(this.counters, noCounts());
    for (const summary of Object.values(this.summaries)) summary.reset();
  }
}

const noCounts = () => ({
  /** From clients, lengths of frames included. */
  bytes_received_count: 0,
  /** Of replies, headers and lengths included. */
  response_bytes: 0,
  /** Of watch events. */
  watch_bytes: 0,
  /** Clients that asked for a session, a new one or their own. */
  connection_request_count: 0,
  /** Clients that asked for their own. */
  connection_revalidate_count: 0,
  /** Refused because there were too many. */
  connection_rejected: 0,
  /** Ended by the client, or by the network. */
  connection_drop_count: 0,
  sessionless_connections_expired: 0,
  stale_sessions_expired: 0,
  /** Times that a request waited because too many were in process. */
  request_throttle_wait_count: 0,
  throttled_ops: 0,
  large_requests_rejected: 0,
  /** Executed although their connection had gone. */
  stale_requests: 0,
  /** Not executed, because their connection went while they waited, or they waited for too long. */
  stale_requests_dropped: 0,
  /** Answers whose connection had gone. */
  stale_replies: 0,
  /** Errors that stop the server. */
  unrecoverable_error_count: 0,
});

/** Counts by name; each grows until {@link ServerMetrics.reset}. */
export type Counters = ReturnType<typeof noCounts>;

/** Count, sum, smallest and largest of what was recorded (`AvgMinMaxCounter`, `AvgMinMaxPercentileCounter`). */
export class Summary {
  /** Undefined for a summary that tells no percentiles. */
  readonly #histogram: Histogram | undefined;
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;

  constructor({ withPercentiles = false }: { withPercentiles?: boolean } = {}) {
    this.#histogram = withPercentiles ? new Histogram() : undefined;
  }

  /** @param value not negative */
  record(value: number): void {
    this.#count++;
    this.#sum += value;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
    this.#histogram?.record(value);
  }

  get count(): number {
    return this.#count;
  }

  get sum(): number {
    return Math.floor(this.#sum);
  }

  /** Whole, as in the original, which has no parts of a ms; 0 as long as nothing was recorded. */
  get min(): number {
    return this.#count === 0 ? 0 : Math.floor(this.#min);
  }

  get max(): number {
    return this.#count === 0 ? 0 : Math.floor(this.#max);
  }

  /** With four decimals. */
  get average(): number {
    return this.#count === 0 ? 0 : Math.round((this.#sum / this.#count) * 10_000) / 10_000;
  }

  get hasPercentiles(): boolean {
    return this.#histogram !== undefined;
  }

  /** The value that a share of the recorded ones doesn't exceed; 0 if nothing was recorded. @param share 0.99, for example */
  percentile(share: number): number {
    return this.#histogram?.percentile(share) ?? 0;
  }

  reset(): void {
    this.#count = 0;
    this.#sum = 0;
    this.#min = Number.POSITIVE_INFINITY;
    this.#max = Number.NEGATIVE_INFINITY;
    this.#histogram?.reset();
  }
}

/** Values below this have a bucket each. */
const EXACT_BELOW = 64;
/** Above, each power of two is divided into so many: a percentile is at most a sixteenth too low. */
const PARTS = 16;
const EXACT_BITS = Math.log2(EXACT_BELOW);
const PARTS_BITS = Math.log2(PARTS);
const BUCKETS = EXACT_BELOW + (31 - EXACT_BITS) * PARTS;

/** How often values of each size were recorded: all of them count, where the original keeps a random sample of 4096. */
class Histogram {
  readonly #counts = new Uint32Array(BUCKETS);

  record(value: number): void {
    const bucket = bucketOf(Math.min(value, 0x7fff_ffff) | 0);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }

  percentile(share: number): number {
    let total = 0;
    for (const count of this.#counts) total += count;
    let left = Math.ceil(total * share);
    if (left === 0) return 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket] ?? 0;
      if (left <= 0) return lowestOf(bucket);
    }
    return 0;
  }

  reset(): void {
    this.#counts.fill(0);
  }
}

function bucketOf(value: number): number {
  if (value < EXACT_BELOW) return value;
  const power = 31 - Math.clz32(value);
  const part = (value >>> (power - PARTS_BITS)) & (PARTS - 1);
  return EXACT_BELOW + (power - EXACT_BITS) * PARTS + part;
}

function lowestOf(bucket: number): number {
  if (bucket < EXACT_BELOW) return bucket;
  const power = Math.floor((bucket - EXACT_BELOW) / PARTS) + EXACT_BITS;
  return 2 ** power + ((bucket - EXACT_BELOW) % PARTS) * 2 ** (power - PARTS_BITS);
}
