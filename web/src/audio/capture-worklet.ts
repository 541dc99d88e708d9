// Collects the microphone into blocks and posts each with the frame at which its first sample was captured.

import type { CapturedBlock, CaptureOptions, CaptureOrder, LevelReport } from "./worklet-messages";

const LEVEL_BLOCKS = 4;

/** Microphone → blocks on the sink port; their level on the node's own port. */
class Capture extends AudioWorkletProcessor {
  private readonly size: number;
  private block: Float32Array<ArrayBuffer>;
  private filled = 0;
  private captured = 0;
  private blocks = 0;
  private power = 0;
  private peak = 0;
  private closed = false;
  private sink: MessagePort | null = null;

  constructor({ processorOptions }: { processorOptions?: unknown }) {
    super();
    this.size = (processorOptions as CaptureOptions).block_frames;
    this.block = new Float32Array(this.size);
    this.port.onmessage = ({ data }: MessageEvent<CaptureOrder>) => {
      if ("sink" in data) this.sink = data.sink;
      else this.closed = true;
    };
  }

  process([input]: Float32Array[][]): boolean {
    const x = input[0] as Float32Array | undefined; // none while nothing is connected: silence, so that time goes on
    const frames = x ? x.length : 128;
    let from = 0;
    while (from < frames) {
      if (this.filled === 0) this.captured = currentFrame + from;
      const take = Math.min(frames - from, this.size - this.filled);
      if (x) this.block.set(x.subarray(from, from + take), this.filled);
      this.filled += take;
      from += take;
      if (this.filled === this.size) this.post(currentFrame + from);
    }
    return !this.closed;
  }

  private post(posted: number): void {
    const samples = this.block;
    this.block = new Float32Array(this.size);
    this.filled = 0;
    this.weigh(samples);
    const block: CapturedBlock = { samples, captured: this.captured, posted };
    this.sink?.postMessage(block, [samples.buffer]);
  }

  private weigh(samples: Float32Array): void {
    for (const value of samples) {
      this.power += value * value;
      this.peak = Math.max(this.peak, Math.abs(value));
    }
    if (++this.blocks < LEVEL_BLOCKS) return;
    const report: LevelReport = { level: Math.sqrt(this.power / (LEVEL_BLOCKS * this.size)), peak: this.peak };
    this.port.postMessage(report);
    this.blocks = 0;
    this.power = 0;
    this.peak = 0;
  }
}

registerProcessor("menura-capture", Capture);
