import { useEffect, useState } from "react";
import { Dialog } from "../features/Dialog";
import { assigned, keyName } from "../hooks/hotkeys";
import { DEFAULTS, type HotkeyAction, useSettings } from "../state/settings";

const ACTIONS: [HotkeyAction, string][] = [
  ["toggle", "Start and stop"],
  ["compare", "Hold: your own voice, to compare"],
  ["talk", "Hold: talk, where push to talk is on"],
  ["microphone", "Mute the microphone"],
  ["mute", "Mute what you hear"],
];

/** The hotkeys, and how to have others. */
export function Keys({ onClose }: { onClose: () => void }) {
  const hotkeys = useSettings((settings) => settings.hotkeys);
  const [asked, setAsked] = useState<HotkeyAction | null>(null);
  useEffect(() => {
    if (!asked) return;
    const take = (event: KeyboardEvent) => {
      event.preventDefault();
      event.stopPropagation();
      const { code } = event;
      if (code !== "Escape") {
        const key = code === "Backspace" || code === "Delete" ? "" : code;
        useSettings.setState({ hotkeys: assigned(hotkeys, asked, key) });
      }
      setAsked(null);
    };
    window.addEventListener("keydown", take, { capture: true, once: true });
    return () => window.removeEventListener("keydown", take, { capture: true });
  }, [asked, hotkeys]);
  return (
    <Dialog title="Keys" onClose={onClose}>
      <p className="quiet">They act wherever you are on this page, except while you type.</p>
      <dl className="keys">
        {ACTIONS.map(([action, text]) => (
          <div key={action}>
            <dt>{text}</dt>
            <dd>
              <button
                type="button"
                className="plain"
                aria-label={`Key for: ${text}. ${keyName(hotkeys[action])}`}
                onClick={() => setAsked(action)}
              >
                {asked === action ? "Press a key…" : keyName(hotkeys[action])}
              </button>
            </dd>
          </div>
        ))}
        <div>
          <dt>Your first nine favourites</dt>
          <dd>1 – 9</dd>
        </div>
      </dl>
      <p className="unseen" role="status">
        {asked ? `Press a key for: ${ACTIONS.find(([action]) => action === asked)?.[1]}` : ""}
      </p>
      <p className="quiet">Press one to change it; then Backspace for none, Escape to leave it.</p>
      <div className="actions">
        <button type="button" className="plain" onClick={() => useSettings.setState({ hotkeys: DEFAULTS.hotkeys })}>
          Defaults
        </button>
      </div>
    </Dialog>
  );
}
