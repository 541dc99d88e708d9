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

/** What each component on the page asks for: the shortest counts. */
const wanted = new Map<symbol, number>();

function pace(): void {
  controller.connection.poll(wanted.size ? Math.min(...wanted.values()) : DEFAULT_INTERVAL_MS);
}

/** What the server measures, asked by `getStatus` every `interval_ms` while processing. */
export function useAudioMeters(interval_ms: number = DEFAULT_INTERVAL_MS): AudioMeters {
  useEffect(() => {
    const own = Symbol("meters");
    wanted.set(own, interval_ms);
    pace();
    return () => {
      wanted.delete(own);
      pace();
    };
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
