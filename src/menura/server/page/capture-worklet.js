// @ts-check
// Collects the microphone into blocks and posts each with the frame at which its first sample was captured.

const LEVEL_BLOCKS = 4;

/** Microphone → `{samples, captured, posted}` on the sink port; `{level}` (RMS, 0–1) on the node's own port. */
class Capture extends AudioWorkletProcessor {
  /** @param {{processorOptions: {block_frames: number}}} options */
  constructor(options) {
    super();
    this.size = options.processorOptions.block_frames;
    this.block = new Float32Array(this.size);
    this.filled = 0;
    this.captured = 0;
    this.blocks = 0;
    this.power = 0;
    this.closed = false;
    /** @type {MessagePort | null} */
    this.sink = null;
    this.port.onmessage = ({ data }) => {
      this.sink = data.sink ?? this.sink;
      this.closed = Boolean(data.close);
    };
  }

  /** @param {Float32Array[][]} inputs */
  process([input]) {
    const x = input[0]; // undefined while nothing is connected: silence, so that time goes on
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

  /** @param {number} posted */
  post(posted) {
    const samples = this.block;
    this.block = new Float32Array(this.size);
    this.filled = 0;
    for (const value of samples) this.power += value * value;
    if (++this.blocks === LEVEL_BLOCKS) {
      this.port.postMessage({ level: Math.sqrt(this.power / (LEVEL_BLOCKS * this.size)) });
      this.blocks = 0;
      this.power = 0;
    }
    this.sink?.postMessage({ samples, captured: this.captured, posted }, [samples.buffer]);
  }
}

registerProcessor("menura-capture", Capture);
