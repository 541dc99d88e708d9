// How long to wait before the next try: longer each time, and never sooner than the server asks.

const STEPS_MS = [250, 500, 1000, 2000, 4000];
const SPREAD = 0.1; // so that many pages do not come back at once

export class Backoff {
  attempts = 0;
  private least_ms = 0;
  private readonly random: () => number;

  constructor(random: () => number = Math.random) {
    this.random = random;
  }

  /** The server asked to be left alone for this long. */
  atLeast(retry_after_ms: number): void {
    this.least_ms = Math.max(this.least_ms, retry_after_ms);
  }

  next(): number {
    const step = STEPS_MS[Math.min(this.attempts++, STEPS_MS.length - 1)];
    const wait_ms = Math.max(step, this.least_ms) * (1 + SPREAD * this.random());
    this.least_ms = 0;
    return wait_ms;
  }

  reset(): void {
    this.attempts = 0;
    this.least_ms = 0;
  }
}
