/** A number that is a `double` in the original: it is written with a point, `0.0`, where a `long` is `0`. */
export class Decimal {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  toString(): string {
    return Number.isInteger(this.value) ? `${this.value}.0` : String(this.value);
  }
}
