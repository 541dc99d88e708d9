import { useEffect } from "react";
import { controller } from "../state/controller";
import { useLive } from "../state/live";

export const DEFAULT_INTERVAL_MS = 200;

export interface AudioMeters {
  processing: boolean;
  /** RMS, 0–1. */
  inputLevel: number;
  outputLevel: number;
  latency_ms: number;
  processing_ms: number;
}

/** What the server measures, asked by `getStatus` every `interval_ms` while processing. */
export function useAudioMeters(interval_ms: number = DEFAULT_INTERVAL_MS): AudioMeters {
  useEffect(() => {
    controller.connection.poll(interval_ms);
    return () => controller.connection.poll(DEFAULT_INTERVAL_MS);
  }, [interval_ms]);
  const status = useLive((live) => live.status);
  return {
    processing: status?.processing ?? false,
    inputLevel: status?.input_level ?? 0,
    outputLevel: status?.output_level ?? 0,
    latency_ms: status?.latency_ms ?? 0,
    processing_ms: status?.processing_time_ms ?? 0,
  };
}
