// What the rows of lists have in common.

import { useState } from "react";
import { explain } from "../api/errors";
import { useWhyNot } from "../state/role";
import { useHost } from "./host";
import { download } from "./save";

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

type DeleteProps = { name: string; verb?: string; disabled?: boolean; onDelete: () => void };

/** Asks again before it deletes. */
export function Delete({ name, verb = "Delete", disabled = false, onDelete }: DeleteProps) {
  const forbidden = useWhyNot("manage");
  const [sure, setSure] = useState(false);
  return (
    <>
      {sure && (
        <button type="button" className="plain" onClick={() => setSure(false)}>
          Keep
        </button>
      )}
      <button
        type="button"
        className="plain danger"
        disabled={disabled || forbidden !== ""}
        title={forbidden || undefined}
        aria-label={sure ? `${verb} for good: ${name}` : `${verb} ${name}`}
        onClick={() => (sure ? onDelete() : setSure(true))}
      >
        {sure ? `${verb} for good` : verb}
      </button>
    </>
  );
}

type DownloadProps = { path: string; fallback: string; label?: string; onFailure: (text: string) => void };

/** Has the browser keep a file, which may take a while until it is here. */
export function Download({ path, fallback, label, onFailure }: DownloadProps) {
  const { api } = useHost();
  const [busy, setBusy] = useState(false);
  async function get(): Promise<void> {
    setBusy(true);
    onFailure("");
    await download(api, path, fallback).catch((error) => onFailure(explain(error)));
    setBusy(false);
  }
  return (
    <button type="button" className="plain" aria-label={label} aria-disabled={busy} onClick={() => busy || void get()}>
      {busy ? "Fetching…" : "Download"}
    </button>
  );
}
