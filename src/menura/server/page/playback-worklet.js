// @ts-check
// Plays what comes back, through the jitter buffer, and tells how it goes.

import { JitterBuffer } from "./jitter.js";

const REPORT_S = 0.05;

/** `{samples, captured, posted}`, `{clear}` on the source port → sound; statistics on the node's own port. */
class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.buffer = new JitterBuffer(sampleRate);
    this.muted = false; // fades out and plays no more, because the person pressed Stop
    this.closed = false;
    this.seen = 0;
    this.power = 0;
    this.port.onmessage = ({ data }) => {
      if (data.source) data.source.onmessage = (/** @type {MessageEvent} */ event) => this.take(event.data);
      if (data.stop) {
        this.buffer.clear();
        this.muted = true;
      }
      this.closed = Boolean(data.close);
    };
  }

  /** @param {{clear?: boolean, samples: Float32Array, captured: number, posted: number}} message */
  take(message) {
    if (message.clear) this.buffer.clear();
    else if (!this.muted) this.buffer.push(message.samples, { ...message, arrived: currentFrame });
  }

  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, [[out]]) {
    this.buffer.pull(out, currentFrame);
    for (const value of out) this.power += value * value;
    this.seen += out.length;
    if (this.seen >= REPORT_S * sampleRate) {
      this.port.postMessage({ level: Math.sqrt(this.power / this.seen), ...this.buffer.stats() });
      this.seen = 0;
      this.power = 0;
    }
    return !this.closed;
  }
}

registerProcessor("menura-playback", Playback);
