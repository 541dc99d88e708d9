import type { ReactNode } from "react";

type HoldButtonProps = { held: boolean; onHold: (held: boolean) => void; disabled?: boolean; children: ReactNode };

/** Acts for as long as it is held, by finger, mouse or key. */
export function HoldButton({ held, onHold, disabled = false, children }: HoldButtonProps) {
  return (
    <button
      type="button"
      className="plain hold"
      aria-pressed={held}
      disabled={disabled}
      onPointerDown={() => onHold(true)}
      onPointerUp={() => onHold(false)}
      onPointerLeave={() => onHold(false)}
      onPointerCancel={() => onHold(false)}
      onContextMenu={(event) => event.preventDefault()} // a long press of a finger is meant
      onKeyDown={({ key }) => (key === " " || key === "Enter") && onHold(true)}
      onKeyUp={() => onHold(false)}
      onBlur={() => onHold(false)}
    >
      {children}
    </button>
  );
}
