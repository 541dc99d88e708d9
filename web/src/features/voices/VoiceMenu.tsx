import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { Icon } from "../../components/Icon";
import { explain } from "../../api/errors";
import type { VoiceInfo } from "../../wire/control";
import { useHost } from "../host";
import { download } from "../save";
import { DeleteVoice } from "./DeleteVoice";
import { EditVoice } from "./EditVoice";

type Item = { label: string; run: () => void; danger?: boolean };

/** What may be done to a voice, behind one button of its card. */
export function VoiceMenu({ voice }: { voice: VoiceInfo }) {
  const { api, refreshVoices, notify } = useHost();
  const [open, setOpen] = useState(false);
  const [dialog, setDialog] = useState<"edit" | "delete" | null>(null);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (!open) return;
    root.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    const outside = ({ target }: Event) => {
      if (!root.current?.contains(target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  const act = (what: Promise<unknown>) => {
    what.then(refreshVoices, (error) => notify(explain(error)));
  };
  const items: Item[] = [
    { label: "Duplicate", run: () => act(api.duplicateVoice(voice.id)) },
    { label: "Export", run: () => act(download(api, api.exportPath(voice.id), `${voice.name}.menura`)) },
  ];
  if (voice.builtin === false) {
    items.unshift({ label: "Rename and set up…", run: () => setDialog("edit") });
    items.push({ label: "Delete…", run: () => setDialog("delete"), danger: true });
  }

  function walk(event: KeyboardEvent): void {
    const all = [...(root.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      all.at(to % all.length)?.focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      setOpen(false);
      if (event.key === "Escape") button.current?.focus();
    }
  }

  return (
    <div ref={root} className="menu">
      <button
        ref={button}
        type="button"
        className="menu-button"
        aria-haspopup="menu"
        aria-expanded={open}
        aria-label={`More for ${voice.name}`}
        onClick={() => setOpen(!open)}
      >
        <Icon name="more" />
      </button>
      {open && (
        <div className="menu-list" role="menu" tabIndex={-1} aria-label={voice.name} onKeyDown={walk}>
          {items.map(({ label, run, danger }) => (
            <button
              key={label}
              type="button"
              role="menuitem"
              tabIndex={-1}
              className={danger ? "danger" : ""}
              onClick={() => {
                setOpen(false);
                button.current?.focus();
                run();
              }}
            >
              {label}
            </button>
          ))}
        </div>
      )}
      {dialog &&
        createPortal(
          dialog === "edit" ? (
            <EditVoice voice={voice} onClose={() => setDialog(null)} />
          ) : (
            <DeleteVoice voice={voice} onClose={() => setDialog(null)} />
          ),
          document.body, // the styles of a card are not the dialog's
        )}
    </div>
  );
}
