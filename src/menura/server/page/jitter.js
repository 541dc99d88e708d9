// @ts-check
// A bounded jitter buffer: as little delay as the arrivals allow, and no click when they fail.
//
// What is watched is the least fill of each second, the margin that was left. Above its target the buffer is played
// slightly faster, below it slightly slower (at most 0.5 %: 9 cents), which also follows the drift of two clocks. An
// underrun raises the target, calm lowers it again.

const SIZE = 1 << 16; // frames held at most, 1.4 s at 48 kHz; a power of two
const MASK = SIZE - 1;
const MAX_SLEW = 0.005;
const SLEW_S = 2; // time in which an excess is worked off, where MAX_SLEW allows

/**
 * @typedef {object} Tag Where a pushed block comes from, all in frames of the one audio clock.
 * @property {number} captured when its first sample was captured
 * @property {number} posted when the microphone's block left
 * @property {number} arrived when it came back
 */

/**
 * @typedef {object} JitterStats
 * @property {boolean} playing
 * @property {number} fill_ms what is buffered now
 * @property {number} margin_ms the target for the least fill
 * @property {number} speed 1 while nothing is to be corrected
 * @property {number} underruns how often nothing was left to play
 * @property {number} dropped_ms what was skipped to stay within the bound
 * @property {{loop: number, capture: number, transit: number, playback: number} | null} delay
 *   frames from capture to play of the sample played last, and its parts
 */

/** Frames come in through `push`, at any time and length, and leave through `pull`, always as many as asked. */
export class JitterBuffer {
  /**
   * @param {number} rate
   * @param {{start_ms?: number, margin_ms?: number, max_margin_ms?: number, bound_ms?: number}} [options]
   *   `start_ms` is what must be there to begin, `bound_ms` the excess over the margin at which it skips.
   */
  constructor(rate, { start_ms = 30, margin_ms = 15, max_margin_ms = 60, bound_ms = 100 } = {}) {
    const frames = (/** @type {number} */ ms) => Math.round((ms * rate) / 1000);
    this.rate = rate;
    this.least = frames(margin_ms);
    this.most = frames(max_margin_ms);
    this.margin = this.least;
    this.lead = frames(start_ms) - this.least; // start and resume at margin + lead
    this.bound = frames(bound_ms);
    this.fade = frames(5);
    this.ring = new Float32Array(SIZE);
    this.written = 0;
    this.read = 0; // position of the next sample, with a fraction while the speed is not 1
    this.playing = false;
    this.speed = 1;
    this.slewing = false;
    this.faded = 0; // frames faded in since the start, up to `fade`
    this.mixed = this.fade; // frames crossfaded since the last jump, up to `fade`
    this.hop = 0;
    this.tail = 0; // frames of fade-out still to play
    this.mirror = 0; // where they are read, backwards
    this.underruns = 0;
    this.dropped = 0;
    this.calm = 0; // seconds since the last underrun
    this.seen = 0; // frames of this second
    this.low = SIZE; // the least fill in them
    /** @type {(Tag & {start: number})[]} */
    this.tags = [];
    /** @type {JitterStats["delay"]} */
    this.delay = null;
  }

  get fill() {
    return this.written - Math.ceil(this.read);
  }

  /** Fade out and forget what is held, without counting a loss; it goes on when enough has come in again. */
  clear() {
    this.pause();
    this.read = Math.floor(this.read);
    this.written = this.read;
    this.tags = [];
    this.delay = null;
  }

  /** Begin a new second of watching. */
  watch() {
    this.seen = 0;
    this.low = SIZE;
  }

  /**
   * @param {Float32Array} samples
   * @param {Tag} tag
   */
  push(samples, { captured, posted, arrived }) {
    this.tags.push({ captured, posted, arrived, start: this.written });
    for (let i = 0; i < samples.length; i++) this.ring[(this.written + i) & MASK] = samples[i];
    this.written += samples.length;
    const over = this.fill - (SIZE - 1024);
    if (over > 0) this.skip(over);
  }

  /**
   * Fill `out`; `frame` is the audio clock's frame at which its first sample is played.
   * @param {Float32Array} out
   * @param {number} frame
   */
  pull(out, frame) {
    if (!this.playing && this.fill >= this.margin + this.lead) this.begin();
    if (!this.playing) {
      this.conceal(out, 0);
      return;
    }
    const whole = Number.isInteger(this.read) && !this.slewing;
    const wanted = whole ? out.length : Math.ceil(out.length * this.speed) + 3;
    if (this.fill < wanted) {
      this.starve(out);
      return;
    }
    this.measure(frame);
    const from = this.read;
    if (whole) {
      for (let i = 0; i < out.length; i++) out[i] = this.ring[(this.read + i) & MASK];
      this.read += out.length;
    } else {
      this.interpolate(out);
    }
    this.crossfade(out, Math.floor(from));
    this.fadeIn(out);
    this.control(out.length);
  }

  /** Start or resume: everything but the lead is too old already, and nothing is heard yet. */
  begin() {
    const excess = this.fill - (this.margin + this.lead + 2 * this.fade);
    if (excess > 0) this.skip(excess);
    this.read = Math.floor(this.read);
    this.playing = true;
    this.faded = 0;
    this.watch();
  }

  /** @param {number} frames */
  skip(frames) {
    this.read += frames;
    this.dropped += frames;
  }

  /** After a jump of `hop` frames, go from what would have come to what comes. */
  crossfade(/** @type {Float32Array} */ out, /** @type {number} */ from) {
    for (let i = 0; i < out.length && this.mixed < this.fade; i++, this.mixed++) {
      const gain = this.mixed / this.fade;
      out[i] = gain * out[i] + (1 - gain) * this.ring[(from + i - this.hop) & MASK];
    }
  }

  /** Note how long ago the sample that is played at `frame` was captured. @param {number} frame */
  measure(frame) {
    while (this.tags.length > 1 && this.tags[1].start <= this.read) this.tags.shift();
    const tag = this.tags[0];
    if (!tag || tag.start > this.read) return;
    const capture = tag.posted - tag.captured;
    const transit = tag.arrived - tag.posted;
    const loop = frame - (tag.captured + this.read - tag.start);
    this.delay = { loop, capture, transit, playback: loop - capture - transit };
  }

  /** Play at `speed` by 4-point Hermite interpolation; back at speed 1 it lands on a whole sample. */
  interpolate(/** @type {Float32Array} */ out) {
    for (let i = 0; i < out.length; i++) {
      const at = Math.floor(this.read);
      const t = this.read - at;
      const a = this.ring[(at - 1) & MASK];
      const b = this.ring[at & MASK];
      const c = this.ring[(at + 1) & MASK];
      const d = this.ring[(at + 2) & MASK];
      const slope = (c - a) / 2;
      const next = (d - b) / 2;
      out[i] = b + t * (slope + t * (3 * (c - b) - 2 * slope - next + t * (2 * (b - c) + slope + next)));
      this.read += this.speed;
      if (!this.slewing && this.read - Math.floor(this.read) <= MAX_SLEW) {
        this.read = Math.floor(this.read);
        this.speed = 1;
      }
    }
  }

  /** Nothing left: play the rest, then its mirror image fading out, which has no step. */
  starve(/** @type {Float32Array} */ out) {
    this.read = Math.ceil(this.read);
    const left = Math.max(0, Math.min(out.length, this.written - this.read));
    for (let i = 0; i < left; i++) out[i] = this.ring[(this.read + i) & MASK];
    this.read += left;
    this.fadeIn(out.subarray(0, left));
    this.underruns++;
    this.calm = 0;
    this.margin = Math.min(this.most, Math.round(this.margin * 1.5));
    this.pause();
    this.conceal(out, left);
  }

  /** Stop playing what comes; the fade-out follows. */
  pause() {
    if (!this.playing) return;
    this.tail = Math.min(this.fade, this.faded);
    this.mirror = Math.floor(this.read) - 1;
    this.playing = false;
    this.speed = 1;
    this.slewing = false;
  }

  /**
   * @param {Float32Array} out
   * @param {number} from
   */
  conceal(out, from) {
    for (let i = from; i < out.length; i++) {
      if (this.tail > 0) {
        const gain = 0.5 - 0.5 * Math.cos((Math.PI * this.tail) / this.fade);
        out[i] = gain * this.ring[this.mirror-- & MASK];
        this.tail--;
      } else {
        out[i] = 0;
      }
    }
  }

  fadeIn(/** @type {Float32Array} */ out) {
    for (let i = 0; i < out.length && this.faded < this.fade; i++, this.faded++) {
      out[i] *= 0.5 - 0.5 * Math.cos((Math.PI * this.faded) / this.fade);
    }
  }

  /** Once a second, look at the least fill and choose the speed for the next. @param {number} frames */
  control(frames) {
    this.low = Math.min(this.low, this.fill);
    this.seen += frames;
    if (this.seen < this.rate) return;
    if (++this.calm > 20) this.margin = Math.max(this.least, this.margin - Math.round(this.rate / 2000));
    const excess = this.low - this.margin;
    if (excess > this.bound) {
      this.skip(excess);
      this.hop = excess;
      this.mixed = 0;
    }
    const slack = this.rate / 400;
    this.slewing = Math.abs(excess) > slack && excess <= this.bound;
    if (this.slewing) {
      this.speed = 1 + Math.max(-MAX_SLEW, Math.min(MAX_SLEW, excess / (SLEW_S * this.rate)));
    }
    this.watch();
  }

  /** @returns {JitterStats} */
  stats() {
    const ms = 1000 / this.rate;
    return {
      playing: this.playing,
      fill_ms: this.fill * ms,
      margin_ms: this.margin * ms,
      speed: this.speed,
      underruns: this.underruns,
      dropped_ms: this.dropped * ms,
      delay: this.delay,
    };
  }
}
