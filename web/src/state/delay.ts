// The delay of the sound that is heard now, and where it comes from; its parts add up to the whole.

import type { LoopDelay } from "../audio/jitter";
import type { StatusFigures } from "../connection/messages";

/** All in ms. */
export interface Delay {
  loop: number;
  capture: number;
  processing: number;
  network: number;
  playback: number;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** Of the browser's audio: the loop is measured by counting samples, the server's share is what it tells. */
export function browserDelay(
  delays: readonly LoopDelay[],
  rate: number,
  status: StatusFigures,
  details: Record<string, number>,
): Delay | null {
  if (!delays.length) return null;
  const part = (name: keyof LoopDelay) => (median(delays.map((one) => one[name])) * 1000) / rate;
  const algorithm = details.algorithm_ms ?? status.latency_ms;
  const inServer = Math.max(0, status.latency_ms - algorithm); // part of the transit
  const [capture, transit, playback] = [part("capture"), part("transit"), part("playback")];
  const processing = algorithm + Math.min(inServer, transit);
  const network = Math.max(0, transit - inServer);
  return { loop: capture + transit + playback + algorithm, capture, processing, network, playback };
}

/** Of the server machine's own devices: all is the server's word, and nothing goes over a network. */
export function serverDelay(status: StatusFigures, details: Record<string, number>): Delay {
  const { capture_ms: capture = 0, playback_ms: playback = 0 } = details;
  const processing = Math.max(0, status.latency_ms - capture - playback);
  return { loop: status.latency_ms, capture, processing, network: 0, playback };
}
