import { useEffect, useRef, useState } from "react";
import { useHost } from "../features/host";
import { strongest } from "./frequency";
import { type Scene, ScopeLoop } from "./loop";
import { LevelPainter, SpectrumPainter, WavePainter } from "./painters";
import { Tap } from "./tap";

type View = "wave" | "spectrum" | "off";
const VIEWS: readonly [View, string][] = [
  ["wave", "Waveform"],
  ["spectrum", "Spectrogram"],
  ["off", "Off"],
];
const STORE = "menura.scope";
const SIDES = [
  ["input", "You"],
  ["output", "Changed"],
] as const;

function remembered(): View {
  try {
    const kept = localStorage.getItem(STORE);
    return VIEWS.find(([view]) => view === kept)?.[0] ?? "wave";
  } catch {
    return "wave";
  }
}

function remember(view: View): void {
  try {
    localStorage.setItem(STORE, view);
  } catch {
    // then it lasts as long as the page
  }
}

const decibels = (level: number) => (level > 1e-5 ? `${Math.round(20 * Math.log10(level))} decibels` : "silent");

/** What goes in and what comes out, drawn as it sounds. */
export function Scopes() {
  const { running, serverAudio, taps, levels } = useHost();
  const [view, setView] = useState<View>(remembered);
  const canvases = useRef<Partial<Record<"input" | "output", HTMLCanvasElement | null>>>({});
  const said = useRef<HTMLParagraphElement>(null);
  const source = useRef({ taps, levels });
  source.current = { taps, levels };

  useEffect(() => {
    if (!running || view === "off") return;
    const nodes = serverAudio ? null : source.current.taps();
    if (!nodes && !serverAudio) return;
    const open: Partial<Record<"input" | "output", Tap>> = {};
    const scenes = SIDES.flatMap(([side]): Scene[] => {
      const canvas = canvases.current[side];
      if (!canvas) return [];
      if (!nodes) return [{ canvas, side, painter: new LevelPainter(() => source.current.levels()[side]) }];
      const tap = new Tap(nodes[side]);
      open[side] = tap;
      return [{ canvas, side, painter: view === "wave" ? new WavePainter(tap) : new SpectrumPainter(tap) }];
    });
    const loop = new ScopeLoop(scenes);
    const tell = setInterval(() => {
      if (!said.current) return;
      const now = source.current.levels();
      said.current.textContent = SIDES.map(([side, name]) => {
        const tap = open[side];
        const tone = tap ? Math.round(strongest(tap.look(), tap.rate)) : 0;
        return `${name}: ${decibels(now[side])}${tone ? `, strongest at ${tone} hertz` : ""}.`;
      }).join(" ");
    }, 1000);
    return () => {
      clearInterval(tell);
      loop.close();
      for (const tap of Object.values(open)) tap.close();
    };
  }, [running, serverAudio, view]);

  return (
    <section className="scopes" aria-label="Live sound">
      <div className="segments" role="radiogroup" aria-label="What is drawn">
        {VIEWS.map(([value, name]) => (
          <label key={value}>
            <input
              type="radio"
              name="scope"
              checked={view === value}
              onChange={() => {
                setView(value);
                remember(value);
              }}
            />
            {name}
          </label>
        ))}
      </div>
      {view !== "off" &&
        SIDES.map(([side, name]) => (
          <figure key={side} className="scope">
            <canvas
              ref={(element) => {
                canvases.current[side] = element;
              }}
              role="img"
              aria-label={`${name}: ${view === "wave" || serverAudio ? "waveform" : "spectrogram"} of the last five seconds`}
            />
            <figcaption>{name}</figcaption>
          </figure>
        ))}
      <p ref={said} className="unseen" />
    </section>
  );
}
