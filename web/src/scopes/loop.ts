import { type Theme, themeOf } from "./colours";
import type { Painter } from "./painters";

export type Scene = { canvas: HTMLCanvasElement; side: "input" | "output"; painter: Painter };

const CALM_MS = 500; // between two drawings where a person has asked for less motion

/** Draws scenes for every frame that is shown: never behind another tab, never out of sight. */
export class ScopeLoop {
  private readonly themes = new Map<HTMLCanvasElement, Theme>();
  private readonly visible = new Set<Element>();
  private readonly scheme = matchMedia("(prefers-color-scheme: dark)");
  private readonly calm = matchMedia("(prefers-reduced-motion: reduce)");
  private readonly sizes = new ResizeObserver((entries) => this.resize(entries));
  private readonly sight = new IntersectionObserver((entries) => this.see(entries));
  private readonly marks = new MutationObserver(() => this.repaint());
  private frame = 0;
  private drawn = 0;

  constructor(private readonly scenes: readonly Scene[]) {
    for (const { canvas } of scenes) {
      this.sizes.observe(canvas);
      this.sight.observe(canvas);
    }
    this.scheme.addEventListener("change", this.repaint);
    this.marks.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class"] });
    this.repaint();
    this.frame = requestAnimationFrame(this.draw);
  }

  close(): void {
    cancelAnimationFrame(this.frame);
    this.sizes.disconnect();
    this.sight.disconnect();
    this.marks.disconnect();
    this.scheme.removeEventListener("change", this.repaint);
  }

  private readonly draw = (now: number): void => {
    this.frame = requestAnimationFrame(this.draw);
    if (this.calm.matches && now - this.drawn < CALM_MS) return;
    this.drawn = now;
    for (const { canvas, painter } of this.scenes) {
      const theme = this.themes.get(canvas);
      if (theme && this.visible.has(canvas)) painter.paint(canvas, theme, devicePixelRatio || 1);
    }
  };

  private readonly repaint = (): void => {
    for (const { canvas, side } of this.scenes) this.themes.set(canvas, themeOf(canvas, side));
  };

  private resize(entries: ResizeObserverEntry[]): void {
    for (const { target, contentRect, devicePixelContentBoxSize } of entries) {
      const canvas = target as HTMLCanvasElement;
      const exact = devicePixelContentBoxSize?.[0];
      const ratio = devicePixelRatio || 1;
      canvas.width = Math.max(1, exact?.inlineSize ?? Math.round(contentRect.width * ratio));
      canvas.height = Math.max(1, exact?.blockSize ?? Math.round(contentRect.height * ratio));
    }
  }

  private see(entries: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.visible.add(target);
      else this.visible.delete(target);
    }
  }
}
