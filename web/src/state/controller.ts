// What the person does goes to the connection and the audio; what they tell goes to the stores.

import type { JitterStats, LoopDelay } from "../audio/jitter";
import { levels, silence } from "../audio/levels";
import { LiveAudio } from "../audio/live-audio";
import { AudioError, obstacle } from "../audio/microphone";
import type { PlaybackReport } from "../audio/worklet-messages";
import { ConnectionClient } from "../connection/client";
import type { ServerTold, Told } from "../connection/link";
import type { ServerMessage } from "../connection/messages";
import { browserDelay, serverDelay } from "./delay";
import { notify, type Phase, useLive } from "./live";
import { type Parameters, type Settings, useSettings } from "./settings";
import { keepToken, takeToken } from "./token";

const RECENT = 20; // reports over which the shown delay is the median: one second

export class Controller {
  /** Told every message of the server. */
  readonly listeners = new Set<(message: ServerMessage) => void>();
  audio: LiveAudio | null = null;
  report: JitterStats | null = null;
  rtt_ms: number | null = null;
  dropped = 0; // frames that did not fit through the socket
  token = takeToken();
  readonly connection = new ConnectionClient(
    (told) => this.hear(told),
    () => notify("This browser cannot run the page: it needs JavaScript modules in workers."),
  );
  private serial = 0; // of the start that counts; what is told of an earlier one comes too late
  private delays: LoopDelay[] = [];
  private missed = false; // the notice says that the server is gone

  /** Connect, and follow the settings from now on. */
  begin(): void {
    const url = new URL("/ws/realtime-control", location.origin).href.replace(/^http/, "ws");
    this.connection.open(url, this.token);
    this.holdParameters();
    this.holdInput(useSettings.getState());
    useSettings.subscribe((now, before) => this.follow(now, before));
    useLive.subscribe((now, before) => {
      if (now.comparing !== before.comparing) this.holdParameters();
      if (now.talking !== before.talking) this.holdInput(useSettings.getState());
    });
    window.addEventListener("online", () => this.connection.retry());
    window.addEventListener("pagehide", () => this.audio && this.stop());
    const reason = obstacle();
    if (reason) notify(reason);
  }

  selectVoice(voice: string): void {
    useSettings.setState({ voice });
    this.connection.selectVoice(voice);
  }

  setParameters(changes: Partial<Parameters>): void {
    useSettings.setState(({ parameters }) => ({ parameters: { ...parameters, ...changes } }));
  }

  toggle(): void {
    if (useLive.getState().phase === "idle") void this.start();
    else this.stop();
  }

  /** Go on with a token that the person typed in. */
  enter(token: string): void {
    keepToken(token);
    location.reload();
  }

  async start(): Promise<void> {
    const settings = useSettings.getState();
    const serial = ++this.serial;
    notify("");
    if (settings.source === "server") {
      this.move("starting");
      const devices = { input: settings.server_input || null, output: settings.server_output || null };
      this.connection.start({ serial, audio: null, devices });
      return;
    }
    const reason = obstacle();
    if (reason) return notify(reason);
    this.move("opening");
    const audio = new LiveAudio({
      onInput: (report) => {
        levels.input = report;
      },
      onOutput: (report) => this.heard(report),
      onEnded: () => this.unplugged(),
    });
    this.audio = audio;
    this.shape(settings);
    try {
      const stream = await audio.open(
        { ...settings, device: settings.microphone },
        settings.sample_rate,
        settings.speaker,
      );
      if (this.audio !== audio) return audio.close();
      this.move("starting");
      this.connection.start({ serial, audio: stream });
    } catch (error) {
      this.failed(audio, error);
    }
  }

  stop(): void {
    const { phase, connection } = useLive.getState();
    this.finish();
    this.connection.stop();
    this.move(phase === "running" && connection === "open" ? "stopping" : "idle");
  }

  private failed(audio: LiveAudio, error: unknown): void {
    audio.close();
    if (this.audio !== audio) return;
    this.audio = null;
    this.move("idle");
    if (!(error instanceof AudioError)) console.error(error);
    notify(error instanceof AudioError ? error.message : `Audio cannot be started: ${error}`);
  }

  private unplugged(): void {
    this.stop();
    notify("The microphone was disconnected. Connect it, then press Start again.");
  }

  /** Let go of the audio; the server is told by `connection.stop` where it does not know yet. */
  private finish(): void {
    this.audio?.close();
    this.audio = null;
    this.report = null;
    silence();
  }

  private move(phase: Phase): void {
    if (phase === "idle" || phase === "starting") this.delays = [];
    if (phase === "idle") silence();
    useLive.setState(phase === "idle" ? { phase, delay: null, gaps: 0 } : { phase });
  }

  private follow(now: Settings, before: Settings): void {
    if (now.parameters !== before.parameters) this.holdParameters();
    this.shape(now);
    this.holdInput(now);
    if (now.speaker !== before.speaker) void this.audio?.setSpeaker(now.speaker);
    const names = ["microphone", "echo_cancellation", "noise_suppression", "auto_gain"] as const;
    if (names.some((name) => now[name] !== before[name])) {
      this.audio?.setMicrophone({ ...now, device: now.microphone }).catch((error) => notify(String(error.message)));
    }
  }

  /** The browser's own part: what is heard, and what of the microphone is sent. */
  private shape(settings: Settings): void {
    this.audio?.setVolume(settings.muted ? 0 : (settings.volume / 100) ** 2); // the ear hears in ratios
    this.audio?.setGain(this.silenced(settings) ? 0 : 10 ** (settings.gain_db / 20));
  }

  private silenced(settings: Settings): boolean {
    return settings.push_to_talk && !useLive.getState().talking;
  }

  private holdParameters(): void {
    const { parameters } = useSettings.getState();
    const { comparing } = useLive.getState();
    this.connection.hold({ parameters: comparing ? { ...parameters, mix: 0 } : parameters });
  }

  /** The server treats the input where the microphone is its own. */
  private holdInput(settings: Settings): void {
    this.shape(settings);
    if (settings.source !== "server") return;
    const { gain_db, noise_suppression, auto_gain, echo_cancellation } = settings;
    const muted = this.silenced(settings);
    this.connection.hold({ input: { muted, gain_db, noise_suppression, auto_gain, echo_cancellation } });
  }

  private heard(report: PlaybackReport): void {
    if (!this.audio) return;
    this.report = report;
    levels.output = report;
    if (!report.playing || !report.delay || useLive.getState().phase !== "running") return;
    this.delays.push(report.delay);
    if (this.delays.length > RECENT) this.delays.shift();
  }

  private hear(told: Told): void {
    if (told.told === "connection") this.connected(told.state, told.retry_ms);
    else if (told.told === "refused") useLive.setState({ refused: true, notice: null });
    else if (told.told === "server") this.answered(told);
    else if (told.told === "stream" && told.serial === this.serial) {
      if (told.state === "idle") this.finish();
      const wanted = useLive.getState().phase !== "idle";
      if (told.state === "idle" || wanted) this.move(told.state);
    }
  }

  private connected(connection: "connecting" | "open" | "lost", retry_ms: number): void {
    const { phase } = useLive.getState();
    useLive.setState({ connection, retryAt: performance.now() + retry_ms });
    if (connection === "open" && this.missed) notify("");
    this.missed = connection === "lost" || (this.missed && connection !== "open");
    if (connection === "lost") {
      const lost =
        phase === "running" || phase === "starting"
          ? "The connection to the server is lost; your voice goes on when it is back."
          : "The server cannot be reached.";
      notify(`${lost} Is menura still running?`, "Try now");
    }
    if (connection === "open") useLive.setState({ refused: false });
    else if (phase === "stopping") this.move("idle");
    else if (phase === "running") this.move("starting");
  }

  private answered({ message, rtt_ms, action, selected, dropped }: ServerTold): void {
    this.dropped = dropped;
    for (const listener of this.listeners) listener(message);
    if (message.type === "voices") this.offered(message.voices);
    else if (message.type === "status") {
      if (action === "getStatus") this.rtt_ms = rtt_ms;
      this.measured(message.status, message.details);
    } else if (message.type === "error" && message.code !== "not_active") {
      notify(message.reason ? `${message.error}: ${message.reason}` : message.error);
      if (action === "selectVoice" && selected) useSettings.setState({ voice: selected });
    }
  }

  private offered(voices: NonNullable<ReturnType<typeof useLive.getState>["voices"]>): void {
    const { voice } = useSettings.getState();
    const chosen = voices.some(({ id }) => id === voice) ? voice : (voices[0]?.id ?? "");
    useLive.setState({ voices });
    if (chosen) this.selectVoice(chosen);
  }

  private measured(
    status: NonNullable<ReturnType<typeof useLive.getState>["status"]>,
    details: Record<string, number>,
  ) {
    const rate = this.audio?.context?.sampleRate;
    const browser = rate ? browserDelay(this.delays, rate, status, details) : null;
    const server = useSettings.getState().source === "server";
    if (server) {
      levels.input = { level: status.input_level, peak: status.input_level };
      levels.output = { level: status.output_level, peak: status.output_level };
    }
    useLive.setState({
      status,
      details,
      delay: status.processing ? (server ? serverDelay(status, details) : browser) : null,
      gaps: server ? (details.gaps ?? 0) : (this.report?.underruns ?? 0),
      output_device_ms: this.audio?.outputMs ?? 0,
    });
  }

  /** Everything that is measured, for tests and the curious. */
  stats(): Record<string, unknown> {
    const { phase, connection, delay, status, details } = useLive.getState();
    const { voice, parameters } = useSettings.getState();
    const rate = this.audio?.context?.sampleRate ?? null;
    return {
      state: phase,
      connected: connection === "open",
      voice,
      parameters,
      loop_ms: delay?.loop ?? null,
      capture_ms: delay?.capture ?? null,
      server_ms: delay?.processing ?? null,
      network_ms: delay?.network ?? null,
      playback_ms: delay?.playback ?? null,
      output_device_ms: this.audio?.outputMs ?? null,
      rtt_ms: this.rtt_ms,
      fill_ms: this.report?.fill_ms ?? null,
      margin_ms: this.report?.margin_ms ?? null,
      speed: this.report?.speed ?? null,
      underruns: this.report?.underruns ?? 0,
      play_dropped_ms: this.report?.dropped_ms ?? 0,
      send_dropped_ms: (this.dropped * 1000) / (rate ?? 48_000),
      sample_rate: rate,
      status,
      details,
    };
  }
}

export const controller = new Controller();
