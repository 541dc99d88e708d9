import { useEffect, useRef } from "react";
import { levels } from "../audio/levels";

const FLOOR_DB = -60;
const FALL_DB_PER_S = 40;

const decibels = (level: number) => Math.max(FLOOR_DB, 20 * Math.log10(level + 1e-9));

/** One side's level, drawn for every frame without React. */
export function Meter({ side, label }: { side: "input" | "output"; label: string }) {
  const meter = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const bar = meter.current?.firstElementChild as HTMLElement | null;
    let shown = FLOOR_DB;
    let told = Number.NaN;
    let before = performance.now();
    let frame = 0;
    const draw = (now: number) => {
      frame = requestAnimationFrame(draw);
      shown = Math.max(decibels(levels[side].level), shown - (FALL_DB_PER_S * (now - before)) / 1000, FLOOR_DB);
      before = now;
      const rounded = Math.round(shown);
      if (bar) bar.style.clipPath = `inset(0 ${((100 * shown) / FLOOR_DB).toFixed(1)}% 0 0)`;
      if (rounded === told) return;
      told = rounded;
      meter.current?.setAttribute("aria-valuenow", String(rounded));
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
