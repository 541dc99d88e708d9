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

/** What a colour of the page is where an element stands; a custom property alone tells how it is written. */
function resolved(element: Element, names: readonly string[]): string[] {
  const probe = document.createElement("i");
  (element.parentElement ?? document.body).append(probe);
  const found = names.map((name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  });
  probe.remove();
  return found;
}

/** The page's colours where this element is. */
export function themeOf(element: Element, side: "input" | "output"): Theme {
  const names = ["--sunken", side === "output" ? "--accent" : "--quiet", "--line", "--network"];
  const [back = "", line = "", grid = "", loud = ""] = resolved(element, names);
  return { line, grid, table: ramp([rgb(back), rgb(line), rgb(loud)]) };
}
