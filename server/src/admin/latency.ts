/** Time from the arrival of a request to its answer, ms: what `srvr` shows. */
export class LatencyStatistics {
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;

  record(ms: number): void {
    this.#count++;
    this.#sum += ms;
    if (ms < this.#min) this.#min = ms;
    if (ms > this.#max) this.#max = ms;
  }

  /** In whole ms, but for the average. */
  summary(): { readonly min: number; readonly average: number; readonly max: number } {
    if (this.#count === 0) return { min: 0, average: 0, max: 0 };
    return { min: Math.floor(this.#min), average: this.#sum / this.#count, max: Math.floor(this.#max) };
  }
}
