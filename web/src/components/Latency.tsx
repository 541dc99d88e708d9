import { useState } from "react";
import { useAudioMeters } from "../hooks/useAudioMeters";
import type { Delay } from "../state/delay";
import { useLive } from "../state/live";
import { useSettings } from "../state/settings";
import { narrow } from "./narrow";

const PARTS = [
  ["capture", "Microphone"],
  ["processing", "Voice"],
  ["network", "Network"],
  ["playback", "Playback"],
] as const;

/** Delay up to which the word applies, ms. */
const GRADES: [number, string][] = [
  [50, "excellent"],
  [100, "good"],
  [200, "acceptable"],
  [Number.POSITIVE_INFINITY, "poor"],
];

const ms = (value: number) => `${Math.round(value)} ms`;
const grade = (delay: Delay | null) => (delay ? GRADES.find(([most]) => delay.loop <= most)?.[1] : "");

export function Latency() {
  const meters = useAudioMeters(useSettings((settings) => settings.status_interval_ms));
  const delay = useLive((live) => live.delay);
  const gaps = useLive((live) => live.gaps);
  const input_ms = useLive((live) => live.input_device_ms);
  const output_ms = useLive((live) => live.output_device_ms);
  const [open, setOpen] = useState(() => !narrow());
  return (
    <div className="latency" data-state={delay ? "known" : "idle"}>
      <button
        type="button"
        className="total"
        aria-expanded={open}
        aria-controls="delay-parts"
        onClick={() => setOpen(!open)}
      >
        <span>Delay</span> <strong id="total">{delay ? ms(delay.loop) : "–"}</strong>{" "}
        <span className="grade">{grade(delay)}</span>
      </button>
      <div className="split" aria-hidden="true">
        {PARTS.map(([part]) => (
          <i key={part} className={part} style={{ flexGrow: delay ? Math.max(0, delay[part]) : 1 }} />
        ))}
      </div>
      <dl className="parts" id="delay-parts" hidden={!open}>
        {PARTS.map(([part, name]) => (
          <div key={part}>
            <dt className={part}>{name}</dt>
            <dd>{delay ? ms(delay[part]) : "–"}</dd>
          </div>
        ))}
        <div>
          <dt>Per block</dt>
          <dd>{delay ? `${meters.processing_ms.toFixed(1)} ms` : "–"}</dd>
        </div>
        <div>
          <dt>Gaps heard</dt>
          <dd>{delay ? gaps : "–"}</dd>
        </div>
        {delay && input_ms >= 1 && (
          <div>
            <dt>Mic buffer</dt>
            <dd>+{ms(input_ms)}</dd>
          </div>
        )}
        {delay && output_ms >= 1 && (
          <div>
            <dt>Speaker</dt>
            <dd>+{ms(output_ms)}</dd>
          </div>
        )}
      </dl>
    </div>
  );
}
