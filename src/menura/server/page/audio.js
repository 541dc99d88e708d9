// @ts-check
// Microphone and loudspeaker: one audio context with a worklet at each end.

const RATE = 48000;
const BLOCK_S = 0.01;

/** A cause the person can do something about; `text` says what. */
export class AudioError extends Error {}

/** What went wrong, by the name of the browser's error. @type {Record<string, string>} */
const CAUSES = {
  NotAllowedError:
    "This page may not use your microphone. Allow it in the browser (the icon beside the address), then press Start again.",
  SecurityError: "This page may not use your microphone: the browser's or the system's settings forbid it.",
  NotFoundError: "No microphone was found. Connect one, then press Start again.",
  NotReadableError: "The microphone is there but gives no sound. Another program may be using it; close that and press Start again.",
};

/** Why audio cannot work here at all, or an empty text. */
export function obstacle() {
  if (!window.isSecureContext) {
    const local = `http://localhost${location.port ? `:${location.port}` : ""}/`;
    return `Browsers give the microphone to secure pages only. On this computer open ${local}; from another one use https.`;
  }
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) {
    return "This browser is too old for live audio. Use a current Firefox, Chrome, Edge or Safari.";
  }
  return "";
}

/** @param {boolean} cleanUp the browser's echo, noise and level correction */
async function openMicrophone(cleanUp) {
  const audio = {
    channelCount: { ideal: 1 },
    echoCancellation: cleanUp,
    noiseSuppression: cleanUp,
    autoGainControl: cleanUp,
  };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    const name = error instanceof Error ? error.name : "";
    throw new AudioError(CAUSES[name] ?? `The microphone cannot be used: ${error instanceof Error ? error.message : error}`);
  }
}

/**
 * A source needs the context's own rate in some browsers: then the microphone's rate is taken for all.
 * @param {MediaStream} stream
 */
function openContext(stream) {
  const context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
  try {
    return { context, source: context.createMediaStreamSource(stream) };
  } catch {
    context.close();
    const own = new AudioContext({ latencyHint: "interactive" });
    return { context: own, source: own.createMediaStreamSource(stream) };
  }
}

/** From `open` to `close`. The worklets exchange audio with the connection through two message ports. */
export class LiveAudio {
  /** @param {{onInput: (level: number) => void, onOutput: (report: any) => void, onEnded: () => void}} listener */
  constructor(listener) {
    this.listener = listener;
    this.volume = 1;
    this.closed = false;
  }

  /** @param {boolean} cleanUp */
  async open(cleanUp) {
    this.microphone = await openMicrophone(cleanUp);
    const { context, source } = openContext(this.microphone);
    this.context = context;
    this.source = source;
    await Promise.all(["capture", "playback"].map((end) => context.audioWorklet.addModule(`/page/${end}-worklet.js`)));
    await context.resume();
    this.watch(this.microphone);
    return this.connect(context);
  }

  /** @param {AudioContext} context */
  connect(context) {
    /** @type {AudioWorkletNodeOptions} */
    const mono = { channelCount: 1, channelCountMode: "explicit", outputChannelCount: [1] };
    const processorOptions = { block_frames: Math.round(context.sampleRate * BLOCK_S) };
    this.capture = new AudioWorkletNode(context, "menura-capture", { ...mono, processorOptions });
    this.playback = new AudioWorkletNode(context, "menura-playback", { ...mono, numberOfInputs: 0 });
    this.monitor = new GainNode(context, { gain: this.volume });
    this.source?.connect(this.capture).connect(context.destination); // silent, but only what is heard is run
    this.playback.connect(this.monitor).connect(context.destination);
    this.capture.port.onmessage = ({ data }) => this.listener.onInput(data.level);
    this.playback.port.onmessage = ({ data }) => this.listener.onOutput(data);
    const up = new MessageChannel();
    const down = new MessageChannel();
    this.capture.port.postMessage({ sink: up.port1 }, [up.port1]);
    this.playback.port.postMessage({ source: down.port1 }, [down.port1]);
    return { sample_rate: context.sampleRate, capture: up.port2, playback: down.port2 };
  }

  /** Change the microphone's correction while it runs. @param {boolean} cleanUp */
  async setCleanUp(cleanUp) {
    if (!this.context || !this.capture) return;
    const stream = await openMicrophone(cleanUp);
    if (this.closed) {
      stream.getTracks().forEach((track) => track.stop());
      return;
    }
    const source = this.context.createMediaStreamSource(stream);
    this.source?.disconnect();
    this.microphone?.getTracks().forEach((track) => track.stop());
    this.microphone = stream;
    this.source = source;
    this.source.connect(this.capture);
    this.watch(stream);
  }

  /** @param {MediaStream} stream */
  watch(stream) {
    const [track] = stream.getAudioTracks();
    track.onended = () => stream === this.microphone && !this.closed && this.listener.onEnded();
  }

  /** What is heard; the voice itself does not change. @param {number} volume */
  setVolume(volume) {
    this.volume = volume;
    if (this.context) this.monitor?.gain.setTargetAtTime(volume, this.context.currentTime, 0.01);
  }

  /** What the loudspeaker adds after the worklet, as the browser tells it. */
  get outputMs() {
    if (!this.context) return 0;
    return ((this.context.baseLatency || 0) + (this.context.outputLatency || 0)) * 1000;
  }

  /** Fade out, let go of the microphone, close. */
  close() {
    if (this.closed) return;
    this.closed = true;
    this.playback?.port.postMessage({ stop: true });
    this.microphone?.getTracks().forEach((track) => track.stop());
    setTimeout(() => {
      this.capture?.port.postMessage({ close: true });
      this.playback?.port.postMessage({ close: true });
      this.context?.close();
    }, 60);
  }
}
