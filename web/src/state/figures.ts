// What is measured while it runs, and what the page tells of it.

import type { JitterStats, LoopDelay } from "../audio/jitter";
import { levels } from "../audio/levels";
import type { LiveAudio } from "../audio/live-audio";
import type { PlaybackReport } from "../audio/worklet-messages";
import type { StatusFigures } from "../connection/messages";
import { browserDelay, serverDelay } from "./delay";
import { useLive } from "./live";
import { useSettings } from "./settings";

const RECENT = 20; // reports over which the shown delay is the median: one second

export class Figures {
  report: JitterStats | null = null;
  rtt_ms: number | null = null;
  dropped = 0; // frames that did not fit through the socket
  private delays: LoopDelay[] = [];

  constructor(private readonly audio: () => LiveAudio | null) {}

  /** A new start has no past. */
  clear(): void {
    this.delays = [];
  }

  /** What the playback tells of itself. */
  heard(report: PlaybackReport): void {
    this.report = report;
    levels.output = report;
    if (!report.playing || !report.delay || useLive.getState().phase !== "running") return;
    this.delays.push(report.delay);
    if (this.delays.length > RECENT) this.delays.shift();
  }

  /** What the server tells. */
  measured(status: StatusFigures, details: Record<string, number>): void {
    const audio = this.audio();
    const rate = audio?.context?.sampleRate;
    const server = useSettings.getState().source === "server";
    if (server) {
      levels.input = { level: status.input_level, peak: status.input_level };
      levels.output = { level: status.output_level, peak: status.output_level };
    }
    const browser = rate ? browserDelay(this.delays, rate, status, details) : null;
    useLive.setState({
      status,
      details,
      delay: status.processing ? (server ? serverDelay(status, details) : browser) : null,
      gaps: server ? (details.gaps ?? 0) : (this.report?.underruns ?? 0),
      input_device_ms: audio?.inputMs ?? 0,
      output_device_ms: audio?.outputMs ?? 0,
    });
  }

  /** Everything, for tests and the curious. */
  all(): Record<string, unknown> {
    const { phase, connection, delay, status, details } = useLive.getState();
    const { voice, parameters } = useSettings.getState();
    const audio = this.audio();
    const rate = audio?.context?.sampleRate ?? null;
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
      input_device_ms: audio?.inputMs ?? null,
      output_device_ms: audio?.outputMs ?? null,
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
