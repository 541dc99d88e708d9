import { type ReactNode, useEffect, useId, useRef } from "react";
import "./features.css";

type DialogProps = { title: string; onClose: () => void; children: ReactNode; wide?: boolean };

/** A dialog that keeps the focus, closes with Escape, and gives the focus back. */
export function Dialog({ title, onClose, children, wide = false }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    if (dialog && !dialog.open) dialog.showModal();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog ref={element} className={wide ? "dialog wide" : "dialog"} aria-labelledby={heading} onClose={onClose}>
      <header className="dialog-head">
        <h2 id={heading}>{title}</h2>
        <button type="button" className="plain close" aria-label="Close" onClick={() => element.current?.close()}>
          ×
        </button>
      </header>
      <div className="dialog-body">{children}</div>
    </dialog>
  );
}

/** How far something is; without `share` nobody knows. */
export function Progress({ label, share }: { label: string; share?: number }) {
  return (
    <div className="progress">
      <p role="status">
        {label}
        {share === undefined ? "" : ` ${Math.round(100 * share)} %`}
      </p>
      <progress aria-label={label} max={1} {...(share === undefined ? {} : { value: share })} />
    </div>
  );
}

/** What went wrong, said at once. */
export function Failure({ text }: { text: string }) {
  return text ? (
    <p className="failure" role="alert">
      {text}
    </p>
  ) : null;
}
