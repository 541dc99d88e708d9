import type { Theme } from "./colours";
import { rowsOf, shade } from "./frequency";
import { PeakHistory } from "./peaks";
import type { Tap } from "./tap";

/** Seconds from the left edge to the right. */
export const SPAN_S = 5;

/** Draws one side into its canvas, again for every frame. */
export interface Painter {
  /** Take what is new and draw it; sizes are in device pixels. */
  paint(canvas: HTMLCanvasElement, theme: Theme, ratio: number): void;
}

function prepared(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
  const context = canvas.getContext("2d");
  context?.clearRect(0, 0, canvas.width, canvas.height);
  return context;
}

/** Quiet speech is seen too: the height is the square root of the sample. */
export const height = (sample: number): number => Math.sign(sample) * Math.sqrt(Math.min(1, Math.abs(sample)));

export class WavePainter implements Painter {
  private history: PeakHistory | null = null;

  constructor(private readonly tap: Tap) {}

  paint(canvas: HTMLCanvasElement, theme: Theme, ratio: number): void {
    const step = 2 * ratio;
    const columns = Math.max(8, Math.ceil(canvas.width / step) + 2);
    if (this.history?.columns !== columns) {
      const frames = (this.tap.rate * SPAN_S * step) / Math.max(canvas.width, 8 * step);
      this.history = new PeakHistory(columns, Math.max(1, frames));
    }
    this.history.push(this.tap.fresh());
    const context = prepared(canvas);
    if (context) drawWave(context, this.history, theme, step, ratio);
  }
}

function drawWave(context: CanvasRenderingContext2D, history: PeakHistory, theme: Theme, step: number, ratio: number) {
  const { width, height: tall } = context.canvas;
  const middle = tall / 2;
  context.fillStyle = theme.grid;
  context.fillRect(0, middle - ratio / 2, width, ratio);
  context.fillStyle = theme.line;
  context.beginPath();
  const right = width - step * history.part;
  for (let back = 0; back < history.columns; back++) {
    const at = history.at(back);
    if (at < 0) break;
    const top = middle - (middle - ratio) * height(history.high[at] ?? 0);
    const bottom = middle - (middle - ratio) * height(history.low[at] ?? 0);
    const x = right - step * (back + 1);
    context.rect(x, top - ratio / 2, step * 0.7, Math.max(ratio, bottom - top + ratio));
  }
  context.fill();
}

export class SpectrumPainter implements Painter {
  private strip: HTMLCanvasElement | null = null;
  private rows: ReturnType<typeof rowsOf> | null = null;
  private column: ImageData | null = null;
  private table: Uint8ClampedArray | null = null;
  private drawn = 0; // columns since the beginning
  private time = 0; // seconds

  constructor(
    private readonly tap: Tap,
    private readonly now: () => number = () => performance.now() / 1000,
  ) {}

  paint(canvas: HTMLCanvasElement, theme: Theme): void {
    const context = prepared(canvas);
    if (!context || !canvas.width || !canvas.height) return;
    const strip = this.fitted(canvas, theme);
    const now = this.now();
    if (!this.time) this.time = now;
    const due = Math.floor(((now - this.time) * canvas.width) / SPAN_S);
    const fresh = Math.min(due - this.drawn, canvas.width);
    if (fresh > 0) this.add(strip, theme, fresh, due);
    const split = this.drawn % canvas.width; // the oldest column of the strip
    context.drawImage(strip, -split, 0);
    context.drawImage(strip, canvas.width - split, 0);
  }

  /** The strip in the canvas's size and the theme's colours: another one begins empty. */
  private fitted(canvas: HTMLCanvasElement, theme: Theme): HTMLCanvasElement {
    const { strip } = this;
    if (strip && strip.width === canvas.width && strip.height === canvas.height && this.table === theme.table) {
      return strip;
    }
    const made = document.createElement("canvas");
    made.width = canvas.width;
    made.height = canvas.height;
    const [red = 0, green = 0, blue = 0] = theme.table;
    const context = made.getContext("2d");
    if (context) {
      context.fillStyle = `rgb(${red} ${green} ${blue})`;
      context.fillRect(0, 0, made.width, made.height);
    }
    this.rows = rowsOf(made.height, this.tap.spectrum.length, this.tap.rate);
    this.column = new ImageData(1, made.height);
    this.strip = made;
    this.table = theme.table;
    this.drawn = 0;
    this.time = 0;
    return made;
  }

  private add(strip: HTMLCanvasElement, theme: Theme, count: number, due: number): void {
    const { rows, column } = this;
    const context = strip.getContext("2d");
    if (!rows || !column || !context) return;
    const spectrum = this.tap.look();
    for (let row = 0; row < strip.height; row++) {
      let level = Number.NEGATIVE_INFINITY;
      for (let bin = rows.first[row] ?? 0; bin <= (rows.last[row] ?? 0); bin++) {
        level = Math.max(level, spectrum[bin] ?? level);
      }
      const colour = 4 * shade(level);
      column.data.set(theme.table.subarray(colour, colour + 4), 4 * row);
    }
    for (let at = due - count; at < due; at++) context.putImageData(column, at % strip.width, 0);
    this.drawn = due;
  }
}

/** For audio that never comes to the browser: its level over time, as the server tells it. */
export class LevelPainter implements Painter {
  private levels: number[] = [];
  private told = 0;

  /**
   * @param level the newest, 0–1
   * @param now seconds
   */
  constructor(
    private readonly level: () => number,
    private readonly now: () => number = () => performance.now() / 1000,
  ) {}

  paint(canvas: HTMLCanvasElement, theme: Theme, ratio: number): void {
    const step = 3 * ratio;
    const columns = Math.max(8, Math.ceil(canvas.width / step));
    const every = SPAN_S / columns;
    const now = this.now();
    if (now - this.told > SPAN_S) this.told = now - every;
    for (; this.told + every <= now; this.told += every) this.levels.push(this.level());
    this.levels.splice(0, this.levels.length - columns);
    const context = prepared(canvas);
    if (!context) return;
    context.fillStyle = theme.line;
    for (let back = 0; back < this.levels.length; back++) {
      const level = Math.max(ratio, (canvas.height - ratio) * height(this.levels[this.levels.length - 1 - back] ?? 0));
      context.fillRect(canvas.width - step * (back + 1), (canvas.height - level) / 2, step * 0.7, level);
    }
  }
}
