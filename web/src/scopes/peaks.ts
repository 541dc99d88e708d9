/** Lowest and highest sample per column, of the last `columns` columns; what is older is forgotten. */
export class PeakHistory {
  readonly low: Float32Array;
  readonly high: Float32Array;
  /** Columns that are complete, since the beginning. */
  total = 0;
  private frames = 0;
  private bottom = 0;
  private top = 0;

  /** @param framesPerColumn may be a fraction: columns then differ by one frame */
  constructor(
    readonly columns: number,
    readonly framesPerColumn: number,
  ) {
    if (!(columns >= 1 && framesPerColumn >= 1)) throw new RangeError("a history has columns, of at least one frame");
    this.low = new Float32Array(columns);
    this.high = new Float32Array(columns);
  }

  /** Frames of the column that is not complete yet, as a share of it. */
  get part(): number {
    return this.frames / this.framesPerColumn - this.total;
  }

  push(samples: Float32Array): void {
    let end = (this.total + 1) * this.framesPerColumn;
    for (const sample of samples) {
      const x = Number.isFinite(sample) ? sample : 0;
      if (x < this.bottom) this.bottom = x;
      if (x > this.top) this.top = x;
      this.frames += 1;
      if (this.frames >= end) {
        const at = this.total % this.columns;
        this.low[at] = this.bottom;
        this.high[at] = this.top;
        this.total += 1;
        this.bottom = this.top = 0;
        end += this.framesPerColumn;
      }
    }
  }

  /** Where the column is kept that came `back` columns before the newest; -1 where there is none. */
  at(back: number): number {
    const number = this.total - 1 - back;
    return back < 0 || back >= this.columns || number < 0 ? -1 : number % this.columns;
  }
}
