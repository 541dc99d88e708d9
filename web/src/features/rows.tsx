// What the rows of lists have in common.

import { useLayoutEffect, useRef, useState } from "react";
import { useWhyNot } from "../state/role";

type RenameProps = { name: string; maxLength: number; disabled?: boolean; onRename: (name: string) => void };

/** A name that is changed where it stands. */
export function Rename({ name, maxLength, disabled = false, onRename }: RenameProps) {
  const forbidden = useWhyNot("manage");
  return (
    <form
      className="rename"
      onSubmit={(event) => {
        event.preventDefault();
        (document.activeElement as HTMLElement | null)?.blur();
      }}
    >
      <input
        aria-label={`Name of ${name}`}
        defaultValue={name}
        maxLength={maxLength}
        disabled={disabled || forbidden !== ""}
        title={forbidden || undefined}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault(); // the dialog stays
          event.currentTarget.value = name;
          event.currentTarget.blur();
        }}
        onBlur={({ target }) => {
          const wanted = target.value.trim();
          if (wanted && wanted !== name) onRename(wanted);
          else target.value = name;
        }}
      />
    </form>
  );
}

type DeleteProps = { name: string; disabled?: boolean; onDelete: () => void };

/** Asks again before it deletes. */
export function Delete({ name, disabled = false, onDelete }: DeleteProps) {
  const forbidden = useWhyNot("manage");
  const [sure, setSure] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    const own = button.current;
    return () => {
      if (own && own === document.activeElement) own.closest("dialog")?.querySelector("h2")?.focus(); // the row is gone
    };
  }, []);
  return (
    <>
      {sure && (
        <button type="button" className="plain" onClick={() => setSure(false)}>
          Keep
        </button>
      )}
      <button
        ref={button}
        type="button"
        className="plain danger"
        disabled={disabled || forbidden !== ""}
        title={forbidden || undefined}
        aria-label={sure ? `Delete ${name} for good` : `Delete ${name}`}
        onClick={() => (sure ? onDelete() : setSure(true))}
      >
        {sure ? "Delete for good" : "Delete"}
      </button>
    </>
  );
}
