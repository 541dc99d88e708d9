// Plays what comes back, through the jitter buffer, and tells how it goes.

import { JitterBuffer } from "./jitter";
import type { PlaybackOrder, PlaybackReport, SourceMessage } from "./worklet-messages";

const REPORT_S = 0.05;

/** Blocks on the source port → sound; statistics on the node's own port. */
class Playback extends AudioWorkletProcessor {
  private readonly buffer = new JitterBuffer(sampleRate);
  private muted = false; // fades out and plays no more, because the person pressed Stop
  private closed = false;
  private seen = 0;
  private power = 0;
  private peak = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<PlaybackOrder>) => {
      if ("source" in data) data.source.onmessage = (event: MessageEvent<SourceMessage>) => this.take(event.data);
      else if ("stop" in data) this.stop();
      else this.closed = true;
    };
  }

  private stop(): void {
    this.buffer.clear();
    this.muted = true;
  }

  private take(message: SourceMessage): void {
    if ("clear" in message) this.buffer.clear();
    else if (!this.muted) this.buffer.push(message.samples, { ...message, arrived: currentFrame });
  }

  process(_inputs: Float32Array[][], [[out]]: Float32Array[][]): boolean {
    this.buffer.pull(out, currentFrame);
    for (const value of out) {
      this.power += value * value;
      this.peak = Math.max(this.peak, Math.abs(value));
    }
    this.seen += out.length;
    if (this.seen >= REPORT_S * sampleRate) this.report();
    return !this.closed;
  }

  private report(): void {
    const level = Math.sqrt(this.power / this.seen);
    const report: PlaybackReport = { level, peak: this.peak, ...this.buffer.stats() };
    this.port.postMessage(report);
    this.seen = 0;
    this.power = 0;
    this.peak = 0;
  }
}

registerProcessor("menura-playback", Playback);
