const WINDOW = 2048; // of a spectrum: 43 ms at 48 kHz, fine enough for a voice's harmonics
const BUFFER = 16_384; // what is remembered between two looks: 0.34 s, so that a slow frame loses nothing

/** What has sounded at a node since the last look, and its spectrum now. */
export class Tap {
  readonly rate: number;
  readonly spectrum: Float32Array<ArrayBuffer>;
  private readonly wave: AnalyserNode;
  private readonly tones: AnalyserNode;
  private readonly samples = new Float32Array(BUFFER);
  private seen: number;

  constructor(private readonly node: AudioNode) {
    const { context } = node;
    this.rate = context.sampleRate;
    const mono = { channelCount: 1, channelCountMode: "explicit", smoothingTimeConstant: 0 } as const;
    this.wave = new AnalyserNode(context, { ...mono, fftSize: BUFFER });
    this.tones = new AnalyserNode(context, { ...mono, fftSize: WINDOW, minDecibels: -120 });
    this.spectrum = new Float32Array(this.tones.frequencyBinCount);
    this.seen = context.currentTime;
    node.connect(this.wave);
    node.connect(this.tones);
  }

  /** The samples that are new; a view that the next look overwrites. */
  fresh(): Float32Array {
    const now = this.node.context.currentTime;
    const frames = Math.min(BUFFER, Math.max(0, Math.round((now - this.seen) * this.rate)));
    this.seen = now;
    if (!frames) return this.samples.subarray(0, 0);
    this.wave.getFloatTimeDomainData(this.samples);
    return this.samples.subarray(BUFFER - frames);
  }

  /** The spectrum of what sounds now, dB per bin, in `spectrum`. */
  look(): Float32Array {
    this.tones.getFloatFrequencyData(this.spectrum);
    return this.spectrum;
  }

  close(): void {
    try {
      this.node.disconnect(this.wave);
      this.node.disconnect(this.tones);
    } catch {
      // the node was let go of before
    }
  }
}
