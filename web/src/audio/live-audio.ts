// Microphone and loudspeaker: one audio context with a worklet at each end.

import captureUrl from "./capture-worklet.ts?worker&url";
import { AudioError, type MicrophoneChoice, openMicrophone } from "./microphone";
import playbackUrl from "./playback-worklet.ts?worker&url";
import { type SpeakerChoice, Speakers } from "./speakers";
import { ASLEEP, keepAwake, MUTED } from "./trouble";
import type { LevelReport, PlaybackReport } from "./worklet-messages";

const BLOCK_S = 0.01;
const GLIDE_S = 0.01;
const SETTLED_MS = 2000; // after which a browser's streams have begun
const FADE_MS = 60; // the playback worklet's fade-out, with room to spare

export interface AudioListener {
  onInput: (report: LevelReport) => void;
  onOutput: (report: PlaybackReport) => void;
  /** The microphone was unplugged. */
  onEnded: () => void;
  /** Why nothing is heard now and what to do; empty when all is well again. */
  onTrouble: (text: string) => void;
}

function stop(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

/** A source needs the context's own rate in some browsers: then the microphone's rate is taken for all. */
function openContext(stream: MediaStream, sampleRate: number) {
  let context: AudioContext | undefined;
  try {
    context = new AudioContext({ sampleRate, latencyHint: "interactive" });
    return { context, source: context.createMediaStreamSource(stream) };
  } catch {
    void context?.close();
    const own = new AudioContext({ latencyHint: "interactive" });
    return { context: own, source: own.createMediaStreamSource(stream) };
  }
}

/** From `open` to `close`. The worklets exchange audio with the connection through two message ports. */
export class LiveAudio {
  context: AudioContext | null = null;
  /** The microphone, before its gain. */
  source: MediaStreamAudioSourceNode | null = null;
  /** What is sent, after the gain. */
  input: GainNode | null = null;
  playback: AudioWorkletNode | null = null;
  private capture: AudioWorkletNode | null = null;
  private speakers: Speakers | null = null;
  private microphone: MediaStream | null = null;
  private choice: MicrophoneChoice | null = null;
  private changing: Promise<unknown> = Promise.resolve();
  private sleep: (() => void) | null = null; // ends the care for the context's sleep
  private settled = Number.POSITIVE_INFINITY; // when the streams have begun, by `performance.now()`
  private output_ms = 0;
  private closed = false;
  private volume = 1;
  private gain = 1;

  constructor(private readonly listener: AudioListener) {}

  async open(choice: MicrophoneChoice, sampleRate: number, speakers: SpeakerChoice) {
    this.microphone = await openMicrophone(choice);
    this.choice = choice;
    const { context, source } = openContext(this.microphone, sampleRate);
    this.context = context;
    this.source = source;
    await Promise.all([captureUrl, playbackUrl].map((url) => context.audioWorklet.addModule(url)));
    this.watch(this.microphone);
    const ports = this.connect(context, source);
    this.sleep = await keepAwake(context, (asleep) => this.tell(asleep ? ASLEEP : ""));
    if (this.closed) this.sleep();
    this.settle();
    await this.setSpeakers(speakers);
    return ports;
  }

  private connect(context: AudioContext, source: MediaStreamAudioSourceNode) {
    const mono: AudioWorkletNodeOptions = { channelCount: 1, channelCountMode: "explicit", outputChannelCount: [1] };
    const processorOptions = { block_frames: Math.round(context.sampleRate * BLOCK_S) };
    const capture = new AudioWorkletNode(context, "menura-capture", { ...mono, processorOptions });
    const playback = new AudioWorkletNode(context, "menura-playback", { ...mono, numberOfInputs: 0 });
    this.input = new GainNode(context, { gain: this.gain });
    source.connect(this.input).connect(capture).connect(context.destination); // silent, but only what is heard is run
    this.speakers = new Speakers(context, playback, (trouble) => this.tell(trouble));
    this.speakers.setVolume(this.volume);
    capture.port.onmessage = ({ data }: MessageEvent<LevelReport>) => this.listener.onInput(data);
    playback.port.onmessage = ({ data }: MessageEvent<PlaybackReport>) => this.listener.onOutput(data);
    const up = new MessageChannel();
    const down = new MessageChannel();
    capture.port.postMessage({ sink: up.port1 }, [up.port1]);
    playback.port.postMessage({ source: down.port1 }, [down.port1]);
    this.capture = capture;
    this.playback = playback;
    return { sample_rate: context.sampleRate, capture: up.port2, playback: down.port2 };
  }

  /** Take another microphone, or the same one with another correction, while it runs; one change after the other. */
  setMicrophone(choice: MicrophoneChoice): Promise<void> {
    const change = this.changing.then(() => this.change(choice));
    this.changing = change.catch(() => undefined);
    return change;
  }

  private async change(choice: MicrophoneChoice): Promise<void> {
    const { context, input, choice: before } = this;
    if (!context || !input || !before || this.closed) return;
    const same = choice.device === before.device;
    if (same) this.release(); // while it is open, a browser gives the same again, corrected as it was
    let stream: MediaStream;
    try {
      stream = await openMicrophone(choice);
    } catch (error) {
      if (same) this.take(await openMicrophone(before).catch(() => this.lost(error)), before);
      throw error;
    }
    this.take(stream, choice);
  }

  /** Have what is said come from here. */
  private take(stream: MediaStream, choice: MicrophoneChoice): void {
    const { context, input } = this;
    if (!context || !input || this.closed) return stop(stream);
    let source: MediaStreamAudioSourceNode;
    try {
      source = context.createMediaStreamSource(stream);
    } catch {
      stop(stream);
      throw new AudioError("This microphone has another sample rate. Press Stop, then Start to speak into it.");
    }
    this.release();
    this.source?.disconnect();
    this.microphone = stream;
    this.choice = choice;
    this.source = source;
    source.connect(input);
    this.watch(stream);
    this.settle();
  }

  private settle(): void {
    this.settled = performance.now() + SETTLED_MS;
  }

  private release(): void {
    if (this.microphone) stop(this.microphone);
    this.microphone = null;
  }

  /** Not even the microphone that there was can be had any more. */
  private lost(error: unknown): never {
    if (!this.closed) this.listener.onEnded();
    throw error;
  }

  private watch(stream: MediaStream): void {
    const [track] = stream.getAudioTracks();
    // a browser may end or mute one microphone because another is opened: what counts is which one is used then
    const used = (act: () => void) => () =>
      void this.changing.then(() => stream === this.microphone && !this.closed && act());
    track.onended = used(() => this.listener.onEnded());
    track.onmute = used(() => track.muted && this.tell(MUTED));
    track.onunmute = used(() => this.tell(""));
  }

  private tell(trouble: string): void {
    if (!this.closed) this.listener.onTrouble(trouble);
  }

  /** Where it is heard. */
  async setSpeakers(choice: SpeakerChoice): Promise<void> {
    if (this.closed) return;
    this.settle();
    await this.speakers?.choose(choice);
  }

  /** What the person hears; the voice itself does not change, nor what another loudspeaker sends on to others. */
  setVolume(volume: number): void {
    this.volume = volume;
    this.speakers?.setVolume(volume);
  }

  /** What is sent of the microphone: 0 is muted. */
  setGain(gain: number): void {
    this.gain = gain;
    if (this.context) this.input?.gain.setTargetAtTime(gain, this.context.currentTime, GLIDE_S);
  }

  /** What the microphone adds before the worklet, where the browser tells it. */
  get inputMs(): number {
    const [track] = this.microphone?.getAudioTracks() ?? [];
    // not in TypeScript's list of settings: Media Capture and Streams, 4.3.6
    const settings: MediaTrackSettings & { latency?: number } = track?.getSettings() ?? {};
    return (settings.latency || 0) * 1000;
  }

  /**
   * What the loudspeaker adds after the worklet, as the browser tells it; 0 where it does not.
   *
   * Not asked of streams that are about to begin: Firefox asks the sound server under a lock that these streams' own
   * callbacks want, and with PulseAudio both may then wait for each other for ever (seen in 153).
   */
  get outputMs(): number {
    if (!this.context || this.speakers?.detour) return 0;
    if (performance.now() < this.settled) return this.output_ms;
    this.output_ms = ((this.context.baseLatency || 0) + (this.context.outputLatency || 0)) * 1000;
    return this.output_ms;
  }

  /** Fade out, let go of the microphone, close. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.playback?.port.postMessage({ stop: true });
    this.sleep?.();
    this.speakers?.leave();
    this.release();
    setTimeout(() => {
      this.speakers?.close();
      this.capture?.port.postMessage({ close: true });
      this.playback?.port.postMessage({ close: true });
      void this.context?.close();
    }, FADE_MS);
  }
}
