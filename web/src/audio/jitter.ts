// A bounded jitter buffer: as little delay as the arrivals allow, and no click when they fail.
//
// What is watched is the least fill of each second, the margin that was left. Above its target the buffer is played
// slightly faster, below it slightly slower (at most 0.5 %: 9 cents), which also follows the drift of two clocks. An
// underrun raises the target, calm lowers it again.

import { hermite } from "./hermite";

const SIZE = 1 << 16; // frames held at most, 1.4 s at 48 kHz; a power of two
const MASK = SIZE - 1;
const MAX_SLEW = 0.005;
const SLEW_S = 2; // time in which an excess is worked off, where MAX_SLEW allows
const CALM_S = 20; // time without an underrun after which the margin shrinks

/** Where a pushed block comes from, all in frames of the one audio clock. */
export interface Tag {
  /** When its first sample was captured. */
  captured: number;
  /** When the microphone's block left. */
  posted: number;
  /** When it came back. */
  arrived: number;
}

/** Frames from capture to play of a sample, and its parts. */
export interface LoopDelay {
  loop: number;
  capture: number;
  transit: number;
  playback: number;
}

export interface JitterStats {
  playing: boolean;
  /** What is buffered now. */
  fill_ms: number;
  /** The target for the least fill. */
  margin_ms: number;
  /** 1 while nothing is to be corrected. */
  speed: number;
  /** How often nothing was left to play. */
  underruns: number;
  /** What was skipped to stay within the bound. */
  dropped_ms: number;
  /** Of the sample played last. */
  delay: LoopDelay | null;
}

export interface JitterOptions {
  /** What must be there to begin. */
  start_ms?: number;
  margin_ms?: number;
  max_margin_ms?: number;
  /** The excess over the margin at which it skips. */
  bound_ms?: number;
}

/** Frames come in through `push`, at any time and length, and leave through `pull`, always as many as asked. */
export class JitterBuffer {
  private readonly rate: number;
  private readonly least: number;
  private readonly most: number;
  private readonly lead: number; // it starts and resumes at margin + lead
  private readonly bound: number;
  private readonly fade: number;
  private readonly ring = new Float32Array(SIZE);
  private margin: number;
  private written = 0;
  private read = 0; // position of the next sample, with a fraction while the speed is not 1
  private playing = false;
  private speed = 1;
  private slewing = false;
  private faded = 0; // frames faded in since the start, up to `fade`
  private mixed: number; // frames crossfaded since the last jump, up to `fade`
  private hop = 0;
  private tail = 0; // frames of fade-out still to play
  private mirror = 0; // where they are read, backwards
  private underruns = 0;
  private dropped = 0;
  private calm_s = 0;
  private seen = 0; // frames of this second
  private low = SIZE; // the least fill in them
  private tags: (Tag & { start: number })[] = [];
  private delay: LoopDelay | null = null;

  constructor(rate: number, options: JitterOptions = {}) {
    const { start_ms = 30, margin_ms = 15, max_margin_ms = 60, bound_ms = 100 } = options;
    const frames = (ms: number) => Math.round((ms * rate) / 1000);
    this.rate = rate;
    this.least = frames(margin_ms);
    this.most = frames(max_margin_ms);
    this.margin = this.least;
    this.lead = frames(start_ms) - this.least;
    this.bound = frames(bound_ms);
    this.fade = frames(5);
    this.mixed = this.fade;
  }

  private get fill(): number {
    return this.written - Math.ceil(this.read);
  }

  /** Fade out and forget what is held, without counting a loss; it goes on when enough has come in again. */
  clear(): void {
    this.pause();
    this.read = Math.floor(this.read);
    this.written = this.read;
    this.tags = [];
    this.delay = null;
  }

  push(samples: Float32Array, { captured, posted, arrived }: Tag): void {
    this.tags.push({ captured, posted, arrived, start: this.written });
    for (let i = 0; i < samples.length; i++) this.ring[(this.written + i) & MASK] = samples[i];
    this.written += samples.length;
    const over = this.fill - (SIZE - 1024);
    if (over > 0) this.skip(over);
  }

  /** Fill `out`; `frame` is the audio clock's frame at which its first sample is played. */
  pull(out: Float32Array, frame: number): void {
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
    if (whole) this.copy(out, out.length);
    else this.interpolate(out);
    this.crossfade(out, Math.floor(from));
    this.fadeIn(out);
    this.control(out.length);
  }

  stats(): JitterStats {
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

  /** Start or resume: everything but the lead is too old already, and nothing is heard yet. */
  private begin(): void {
    const excess = this.fill - (this.margin + this.lead + 2 * this.fade);
    if (excess > 0) this.skip(excess);
    this.read = Math.floor(this.read);
    this.playing = true;
    this.faded = 0;
    this.watch();
  }

  /** Begin a new second of watching. */
  private watch(): void {
    this.seen = 0;
    this.low = SIZE;
  }

  private skip(frames: number): void {
    this.read += frames;
    this.dropped += frames;
  }

  private copy(out: Float32Array, frames: number): void {
    for (let i = 0; i < frames; i++) out[i] = this.ring[(this.read + i) & MASK];
    this.read += frames;
  }

  /** After a jump of `hop` frames, go from what would have come to what comes. */
  private crossfade(out: Float32Array, from: number): void {
    for (let i = 0; i < out.length && this.mixed < this.fade; i++, this.mixed++) {
      const gain = this.mixed / this.fade;
      out[i] = gain * out[i] + (1 - gain) * this.ring[(from + i - this.hop) & MASK];
    }
  }

  /** Note how long ago the sample that is played at `frame` was captured. */
  private measure(frame: number): void {
    while (this.tags.length > 1 && this.tags[1].start <= this.read) this.tags.shift();
    const tag = this.tags[0];
    if (!tag || tag.start > this.read) return;
    const capture = tag.posted - tag.captured;
    const transit = tag.arrived - tag.posted;
    const loop = frame - (tag.captured + this.read - tag.start);
    this.delay = { loop, capture, transit, playback: loop - capture - transit };
  }

  /** Play at `speed`; back at speed 1 it lands on a whole sample. */
  private interpolate(out: Float32Array): void {
    for (let i = 0; i < out.length; i++) {
      out[i] = hermite(this.ring, MASK, this.read);
      this.read += this.speed;
      if (!this.slewing && this.read - Math.floor(this.read) <= MAX_SLEW) {
        this.read = Math.floor(this.read);
        this.speed = 1;
      }
    }
  }

  /** Nothing left: play the rest, then its mirror image fading out, which has no step. */
  private starve(out: Float32Array): void {
    this.read = Math.ceil(this.read);
    const left = Math.max(0, Math.min(out.length, this.written - this.read));
    this.copy(out, left);
    this.fadeIn(out.subarray(0, left));
    this.underruns++;
    this.calm_s = 0;
    this.margin = Math.min(this.most, Math.round(this.margin * 1.5));
    this.pause();
    this.conceal(out, left);
  }

  /** Stop playing what comes; the fade-out follows. */
  private pause(): void {
    if (!this.playing) return;
    this.tail = Math.min(this.fade, this.faded);
    this.mirror = Math.floor(this.read) - 1;
    this.playing = false;
    this.speed = 1;
    this.slewing = false;
  }

  private conceal(out: Float32Array, from: number): void {
    for (let i = from; i < out.length; i++) {
      out[i] = this.tail > 0 ? this.rise(this.tail--) * this.ring[this.mirror-- & MASK] : 0;
    }
  }

  private fadeIn(out: Float32Array): void {
    for (let i = 0; i < out.length && this.faded < this.fade; i++) out[i] *= this.rise(this.faded++);
  }

  /** A raised cosine from 0 at 0 to 1 at `fade`. */
  private rise(at: number): number {
    return 0.5 - 0.5 * Math.cos((Math.PI * at) / this.fade);
  }

  /** Once a second, look at the least fill and choose the speed for the next. */
  private control(frames: number): void {
    this.low = Math.min(this.low, this.fill);
    this.seen += frames;
    if (this.seen < this.rate) return;
    if (++this.calm_s > CALM_S) this.margin = Math.max(this.least, this.margin - Math.round(this.rate / 2000));
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
}
