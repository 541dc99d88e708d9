export type Rgb = readonly [number, number, number];

/** `#rgb`, `#rrggbb`, `rgb(…)` and `rgba(…)`, as computed styles have them; black for anything else. */
export function rgb(text: string): Rgb {
  const plain = text.trim();
  const hex = /^#([\da-f]{3}|[\da-f]{6})$/i.exec(plain)?.[1];
  if (hex) {
    const full = hex.length === 3 ? [...hex].map((digit) => digit + digit).join("") : hex;
    return [0, 2, 4].map((at) => Number.parseInt(full.slice(at, at + 2), 16)) as unknown as Rgb;
  }
  const parts =
    /^rgba?\(([^)]+)\)$/
      .exec(plain)?.[1]
      ?.split(/[\s,/]+/)
      .map(Number) ?? [];
  const [red = 0, green = 0, blue = 0] = parts;
  return [red, green, blue].map((part) => (Number.isFinite(part) ? part : 0)) as unknown as Rgb;
}

/** 256 colours through the given ones, evenly, as bytes of an `ImageData`. */
export function ramp(stops: readonly Rgb[]): Uint8ClampedArray {
  const table = new Uint8ClampedArray(256 * 4);
  for (let at = 0; at < 256; at++) {
    const place = (at / 255) * (stops.length - 1);
    const lower = stops[Math.floor(place)] ?? [0, 0, 0];
    const upper = stops[Math.ceil(place)] ?? lower;
    for (let part = 0; part < 3; part++) {
      const from = lower[part] ?? 0;
      table[4 * at + part] = from + ((upper[part] ?? 0) - from) * (place - Math.floor(place));
    }
    table[4 * at + 3] = 255;
  }
  return table;
}

export type Theme = { line: string; grid: string; table: Uint8ClampedArray };

/** The page's colours where this element is. */
export function themeOf(element: Element, side: "input" | "output"): Theme {
  const style = getComputedStyle(element);
  const value = (name: string, other: string) => style.getPropertyValue(name).trim() || other;
  const back = value("--sunken", "#ece8df");
  const accent = value("--accent", "#0e6b5e");
  const line = side === "output" ? accent : value("--quiet", "#645f56");
  return {
    line,
    grid: value("--line", "#dcd6ca"),
    table: ramp([rgb(back), rgb(line), rgb(value("--network", "#c9822b"))]),
  };
}
