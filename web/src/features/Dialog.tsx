import { type ReactNode, useEffect, useId, useLayoutEffect, useRef } from "react";
import { Icon } from "../components/Icon";

type DialogProps = {
  title: string;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
  /** Something goes on that its end would cut: Escape alone does not close it. */
  busy?: boolean;
};

/** A dialog that keeps the focus, closes with Escape, and gives the focus back; `data-first` has it to begin with. */
export function Dialog({ title, onClose, children, wide = false, busy = false }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    if (dialog && !dialog.open) dialog.showModal();
    const first = dialog?.querySelector<HTMLElement>("[data-first]") ?? dialog?.querySelector("h2");
    first?.focus();
    return () => {
      const home = before?.isConnected ? before : document.querySelector("[data-home]"); // what opened it may be gone
      if (home instanceof HTMLElement) home.focus();
    };
  }, []);
  useLayoutEffect(() => {
    const lost = element.current?.open && document.activeElement === document.body; // what had the focus is gone
    if (lost) element.current?.querySelector("h2")?.focus({ preventScroll: true });
  });
  return (
    <dialog
      ref={element}
      className={wide ? "dialog wide" : "dialog"}
      aria-labelledby={heading}
      onCancel={(event) => busy && event.preventDefault()}
      onClose={onClose}
    >
      <header className="dialog-head">
        <h2 id={heading} tabIndex={-1}>
          {title}
        </h2>
        <button
          type="button"
          className="plain square close"
          aria-label="Close"
          onClick={() => element.current?.close()}
        >
          <Icon name="close" />
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
      <p>
        <span role="status">{label}</span>
        {share !== undefined && <span aria-hidden="true"> {Math.round(100 * share)} %</span>}
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
