// What the person does goes to the connection and the audio; what they tell goes to the stores.

import { Api } from "../api/api";
import { levels, silence } from "../audio/levels";
import { LiveAudio } from "../audio/live-audio";
import { AudioError, obstacle } from "../audio/microphone";
import { ConnectionClient } from "../connection/client";
import type { ServerTold, Told } from "../connection/link";
import type { ActionName, ControlError, ServerMessage, VoiceInfo } from "../connection/messages";
import { Figures } from "./figures";
import { notify, type Phase, useLive } from "./live";
import { isRole, whyNot } from "./role";
import { inherit } from "./server-settings";
import { adopt, hasChosen, type Parameters, type Settings, useSettings } from "./settings";
import { keepToken, takeToken } from "./token";
import { reopens, serverInput, treats } from "./treatment";
import { chosenFrom, kept, type VoiceChoice } from "./voice-choice";

export class Controller {
  /** Told every message of the server. */
  readonly listeners = new Set<(message: ServerMessage) => void>();
  audio: LiveAudio | null = null;
  token = takeToken();
  readonly connection = new ConnectionClient(
    (told) => this.hear(told),
    () => notify("This browser cannot run the page: it needs JavaScript modules in workers."),
  );
  readonly figures = new Figures(() => this.audio);
  private serial = 0; // of the start that counts; what is told of an earlier one comes too late
  private accepted: VoiceChoice | null = null; // the server has it
  private missed = false; // the notice says that the server is gone
  private known = false; // the server has told what the token allows
  private inherited = false; // the server's settings
  private treated = false; // the server was told to treat the input
  private troubled = ""; // what was told last of the sound

  /** Connect, and follow the settings from now on. */
  begin(): void {
    const url = new URL("/ws/realtime-control", location.origin).href.replace(/^http/, "ws");
    this.connection.open(url, this.token);
    this.holdParameters();
    this.holdInput(useSettings.getState());
    useSettings.subscribe((now, before) => this.follow(now, before));
    useLive.subscribe((now, before) => {
      if (now.comparing !== before.comparing) this.holdParameters();
      if (now.talking !== before.talking || now.silent !== before.silent) this.holdInput(useSettings.getState());
    });
    window.addEventListener("online", () => this.connection.retry());
    window.addEventListener("pagehide", () => this.audio && this.stop());
    const reason = obstacle();
    if (reason) notify(reason);
  }

  /** Have another voice; its sliders stand where it has them. */
  selectVoice(id: string): void {
    if (whyNot(useLive.getState().role, "use")) return;
    const { voice, parameters } = useSettings.getState();
    if (voice === this.accepted?.voice) this.accepted = { voice, parameters };
    useSettings.setState(chosenFrom(useLive.getState().voices, id));
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
    const forbidden = whyNot(useLive.getState().role, "use");
    if (forbidden) return notify(forbidden);
    const serial = ++this.serial;
    notify("");
    if (settings.source === "server") {
      this.move("starting");
      const { server_input: input, server_output: output, server_monitor: monitor } = settings;
      const devices = { input: input || null, output: output || null, ...(monitor ? { monitor } : {}) };
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
      onOutput: (report) => this.audio && this.figures.heard(report),
      onEnded: () => this.unplugged(),
      onTrouble: (text) => this.trouble(text),
    });
    this.audio = audio;
    this.shape(settings);
    try {
      const stream = await audio.open({ ...settings, device: settings.microphone }, settings.sample_rate, settings);
      if (this.audio !== audio) return audio.close();
      if (stream.sample_rate !== settings.sample_rate && hasChosen("sample_rate")) {
        notify(`This browser takes the microphone at ${stream.sample_rate / 1000} kHz only: that is used.`);
      }
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

  /** Tell why nothing is heard; the notice goes when that is over. */
  private trouble(text: string): void {
    if (text) notify(text);
    else if (useLive.getState().notice?.text === this.troubled) notify("");
    this.troubled = text;
  }

  private unplugged(): void {
    this.stop();
    notify("The microphone was disconnected. Connect it, then press Start again.");
  }

  /** Let go of the audio; the server is told by `connection.stop` where it does not know yet. */
  private finish(): void {
    this.audio?.close();
    this.audio = null;
    this.figures.report = null;
    silence();
  }

  private move(phase: Phase): void {
    if (phase === "idle" || phase === "starting") this.figures.clear();
    if (phase === "idle") silence();
    useLive.setState(phase === "running" ? { phase } : { phase, delay: null, ...(phase === "idle" ? { gaps: 0 } : {}) });
  }

  private follow(now: Settings, before: Settings): void {
    if (now.voice !== before.voice) this.connection.selectVoice(now.voice);
    if (now.parameters !== before.parameters) this.holdParameters();
    this.holdInput(now);
    if (now.speaker !== before.speaker || now.monitor !== before.monitor) void this.audio?.setSpeakers(now);
    if (reopens(now, before)) {
      this.audio?.setMicrophone({ ...now, device: now.microphone }).catch((error) => notify(String(error.message)));
    }
  }

  /** The browser's own part: what is heard, and what of the microphone is sent. */
  private shape(settings: Settings): void {
    this.audio?.setVolume(settings.muted ? 0 : (settings.volume / 100) ** 2); // the ear hears in ratios
    this.audio?.setGain(this.silenced(settings) ? 0 : 10 ** (settings.gain_db / 20));
  }

  private silenced(settings: Settings): boolean {
    const { silent, talking } = useLive.getState();
    return silent || (settings.push_to_talk && !talking);
  }

  private holdParameters(): void {
    const { parameters } = useSettings.getState();
    const { comparing } = useLive.getState();
    this.connection.hold({ parameters: comparing ? { ...parameters, mix: 0 } : parameters });
  }

  /** Tell the server what to do with the input, once there is something for it to do. */
  private holdInput(settings: Settings): void {
    this.shape(settings);
    const input = serverInput(settings, this.silenced(settings));
    this.treated ||= settings.source === "server" || treats(input);
    if (this.treated) this.connection.hold({ input });
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
    if (connection === "open") this.greeted();
    else if (phase === "stopping") this.move("idle");
    else if (phase === "running") this.move("starting");
  }

  private greeted(): void {
    useLive.setState({ refused: false });
    const api = new Api(this.token);
    api.access().then(
      ({ role }) => {
        this.known = isRole(role);
        if (this.known) useLive.setState({ role });
      },
      () => undefined, // an older server does not tell: its refusals do
    );
    if (this.inherited) return;
    this.inherited = true;
    api.settings().then(
      (common) => inherit(common, useLive.getState().voices),
      () => undefined, // then the page's own defaults hold
    );
  }

  private answered({ message, rtt_ms, action, selected, dropped }: ServerTold): void {
    this.figures.dropped = dropped;
    if (message.type === "voices") this.offered(message.voices);
    else if (message.type === "voiceSelected") this.agreed(message.voice.id);
    else if (message.type === "status") {
      if (action === "getStatus") this.figures.rtt_ms = rtt_ms;
      this.figures.measured(message.status, message.details);
    } else if (message.type === "error") {
      this.refused(message, action);
      if (action === "selectVoice" && selected) this.goBack(selected);
    }
    for (const listener of this.listeners) listener(message);
  }

  private refused({ code, error, reason }: ControlError, action: ActionName | null): void {
    if (code === "forbidden" && !this.known) useLive.setState({ role: "listen" });
    if (code === "not_active" || (code === "forbidden" && action !== "start")) return; // nobody pressed anything
    notify(reason ? `${error}: ${reason}` : error);
  }

  private offered(voices: VoiceInfo[]): void {
    const { voices: before } = useLive.getState();
    const { voice, parameters } = useSettings.getState();
    useLive.setState({ voices });
    if (before || hasChosen("parameters")) {
      const choice = kept({ voice, parameters }, voices, before);
      if (choice.voice !== voice || choice.parameters !== parameters) useSettings.setState(choice);
    } else {
      const known = voices.some(({ id }) => id === voice);
      adopt(chosenFrom(voices, known ? voice : (voices[0]?.id ?? "")));
    }
    this.connection.selectVoice(useSettings.getState().voice);
  }

  private agreed(id: string): void {
    const { voice, parameters } = useSettings.getState();
    if (voice === id) this.accepted = { voice, parameters };
  }

  /** The server refused a voice: it still has this one. */
  private goBack(voice: string): void {
    const { accepted } = this;
    useSettings.setState(accepted?.voice === voice ? accepted : chosenFrom(useLive.getState().voices, voice));
  }

  /** Everything that is measured, for tests and the curious. */
  stats(): Record<string, unknown> {
    return this.figures.all();
  }
}

export const controller = new Controller();
