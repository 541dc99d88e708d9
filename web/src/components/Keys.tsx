import { useEffect, useRef, useState } from "react";
import { keyName } from "../hooks/hotkeys";
import { DEFAULTS, type HotkeyAction, useSettings } from "../state/settings";

const ACTIONS: [HotkeyAction, string][] = [
  ["toggle", "Start and stop"],
  ["compare", "Hold: your own voice, to compare"],
  ["talk", "Hold: talk, where push to talk is on"],
  ["mute", "Mute what you hear"],
];

/** The hotkeys, and how to have others. */
export function Keys({ open, onClose }: { open: boolean; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const hotkeys = useSettings((settings) => settings.hotkeys);
  const [asked, setAsked] = useState<HotkeyAction | null>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  useEffect(() => {
    if (!asked) return;
    const take = (event: KeyboardEvent) => {
      event.preventDefault();
      event.stopPropagation();
      if (event.code !== "Escape") useSettings.setState({ hotkeys: { ...hotkeys, [asked]: event.code } });
      setAsked(null);
    };
    window.addEventListener("keydown", take, { capture: true, once: true });
    return () => window.removeEventListener("keydown", take, { capture: true });
  }, [asked, hotkeys]);
  return (
    <dialog ref={dialog} aria-labelledby="keys-title" onClose={onClose}>
      <h2 id="keys-title">Keys</h2>
      <p className="quiet">They act wherever you are on this page, except while you type.</p>
      <dl className="keys">
        {ACTIONS.map(([action, text]) => (
          <div key={action}>
            <dt>{text}</dt>
            <dd>
              <button type="button" className="plain" aria-label={`Key for: ${text}`} onClick={() => setAsked(action)}>
                {asked === action ? "Press a key…" : keyName(hotkeys[action])}
              </button>
            </dd>
          </div>
        ))}
      </dl>
      <div className="row end">
        <button type="button" className="plain" onClick={() => useSettings.setState({ hotkeys: DEFAULTS.hotkeys })}>
          Defaults
        </button>
        <button type="button" className="plain" onClick={onClose}>
          Close
        </button>
      </div>
    </dialog>
  );
}
