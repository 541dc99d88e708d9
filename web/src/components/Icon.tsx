/** Strokes on a field of 24 by 24. */
const PATHS = {
  import: "M12 4v11M7.5 10.5 12 15l4.5-4.500M4.5 15.500v3a1.5 1.5 0 0 0 1.5 1.500h12a1.5 1.5 0 0 0 1.5-1.500v-3",
  convert: "M4 9h13M13.5 5.5 17 9l-3.5 3.500M20 16H7M10.5 12.5 7 16l3.5 3.5",
  recordings: "M4 12h1.500M8.5 7.500v9M12 4.500v15M15.5 8.500v7M18.5 12H20",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.750v4.500M9 14.750v4.5",
  keys: "M4.5 6.500h15a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1v-9a1 1 0 0 1 1-1zM7.5 10h.01M11 10h.01M14.5 10h.01M17 10h.01M8 14h8",
  auto: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  light: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.500v2M12 19.500v2M2.5 12h2M19.5 12h2M5.3 5.300l1.4 1.400M17.3 17.300l1.4 1.400M5.3 18.700l1.4-1.400M17.3 6.700l1.4-1.4",
  dark: "M19.5 14A8 8 0 0 1 10 4.5 8 8 0 1 0 19.5 14z",
  microphone: "M12 3.500a2.75 2.75 0 0 0-2.75 2.750v5.500a2.75 2.75 0 0 0 5.5 0v-5.500A2.75 2.75 0 0 0 12 3.500zM5.5 11.500a6.5 6.5 0 0 0 13 0M12 18v3",
  speaker: "M4 9.500v5h3.500L12 18.500v-13L7.5 9.500zM15.5 9a4 4 0 0 1 0 6M18 6.500a7.5 7.5 0 0 1 0 11",
  star: "M12 3.500l2.6 5.5 6 .8-4.4 4.2 1.1 6L12 17.1 6.7 20l1.1-6-4.4-4.2 6-.8z",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  close: "M6 6l12 12M18 6 6 18",
  up: "M12 19V5M6 11l6-6 6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  off: "M4 4l16 16",
} as const;

export type IconName = keyof typeof PATHS;

/** A picture beside words, or in a control that has a name of its own. */
export function Icon({ name, crossed = false }: { name: IconName; crossed?: boolean }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
      {crossed && <path d={PATHS.off} />}
    </svg>
  );
}
