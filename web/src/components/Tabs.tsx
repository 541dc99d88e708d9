import { useRef } from "react";

export const PARTS = [
  ["voices", "Voices"],
  ["adjust", "Adjust"],
  ["effects", "Effects"],
  ["sound", "Sound"],
] as const;

export type Part = (typeof PARTS)[number][0];

/** Where the page is too narrow for all of its parts: which one is shown below the live panel. */
export function Tabs({ part, onPart }: { part: Part; onPart: (part: Part) => void }) {
  const nav = useRef<HTMLElement>(null);
  /** Another part begins at its top, also where one had been scrolled. */
  const turn = (to: Part) => {
    onPart(to);
    const above = nav.current?.previousElementSibling?.getBoundingClientRect();
    if (above && above.bottom < 0) window.scrollBy(0, above.bottom);
  };
  return (
    <nav ref={nav} className="tabs" aria-label="Parts of the page">
      {PARTS.map(([value, name]) => (
        <button key={value} type="button" aria-current={part === value} onClick={() => turn(value)}>
          {name}
        </button>
      ))}
    </nav>
  );
}
