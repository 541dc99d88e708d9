import { useEffect, useRef } from "react";
import { levels } from "../audio/levels";

const FLOOR_DB = -60;
const FALL_DB_PER_S = 40;
const FULL = 0.99; // a peak that is cut off, or nearly
const WARNED_MS = 1500;

const decibels = (level: number) => Math.max(FLOOR_DB, 20 * Math.log10(level + 1e-9));

/** One side's level, drawn for every frame without React; it turns red where the sound is cut off. */
export function Meter({ side, label }: { side: "input" | "output"; label: string }) {
  const meter = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = meter.current;
    const bar = element?.firstElementChild as HTMLElement | null;
    let shown = FLOOR_DB;
    let told = "";
    let before = performance.now();
    let full = -WARNED_MS;
    let frame = 0;
    const draw = (now: number) => {
      frame = requestAnimationFrame(draw);
      const { level, peak } = levels[side];
      shown = Math.max(decibels(level), shown - (FALL_DB_PER_S * (now - before)) / 1000, FLOOR_DB);
      before = now;
      if (peak >= FULL) full = now;
      if (bar) bar.style.clipPath = `inset(0 ${((100 * shown) / FLOOR_DB).toFixed(1)}% 0 0)`;
      const clipped = now - full < WARNED_MS;
      const text = `${Math.round(shown)} dB${clipped ? ", too loud" : ""}`;
      if (!element || text === told) return;
      told = text;
      element.dataset.clipped = String(clipped);
      element.setAttribute("aria-valuenow", String(Math.round(shown)));
      element.setAttribute("aria-valuetext", text);
    };
    frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }, [side]);
  return (
    <>
      <span className="meter-name">{label}</span>
      <div
        ref={meter}
        className="meter"
        role="meter"
        aria-label={`Level: ${label}`}
        aria-valuemin={FLOOR_DB}
        aria-valuemax={0}
        aria-valuenow={FLOOR_DB}
      >
        <i />
      </div>
    </>
  );
}
