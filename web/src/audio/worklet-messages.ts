// What page, worklets and connection say to each other about audio.

import type { JitterStats } from "./jitter";

export interface CaptureOptions {
  block_frames: number;
}

/** From the microphone: `captured` is the audio clock's frame of the first sample, `posted` that of leaving. */
export interface CapturedBlock {
  samples: Float32Array<ArrayBuffer>;
  captured: number;
  posted: number;
}

/** To the playback worklet's source port. */
export type SourceMessage = CapturedBlock | { clear: true };

/** To the capture node. */
export type CaptureOrder = { sink: MessagePort } | { close: true };

/** To the playback node. */
export type PlaybackOrder = { source: MessagePort } | { stop: true } | { close: true };

/** RMS and peak, 0–1. */
export interface LevelReport {
  level: number;
  peak: number;
}

export type PlaybackReport = LevelReport & JitterStats;
