export const PARTS = [
  ["voices", "Voices"],
  ["adjust", "Adjust"],
  ["effects", "Effects"],
  ["sound", "Sound"],
] as const;

export type Part = (typeof PARTS)[number][0];

/** Where the page is too narrow for all of its parts: which one is shown below the live panel. */
export function Tabs({ part, onPart }: { part: Part; onPart: (part: Part) => void }) {
  return (
    <nav className="tabs" aria-label="Parts of the page">
      {PARTS.map(([value, name]) => (
        <button key={value} type="button" aria-current={part === value} onClick={() => onPart(value)}>
          {name}
        </button>
      ))}
    </nav>
  );
}
