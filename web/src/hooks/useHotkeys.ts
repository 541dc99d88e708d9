import { useEffect } from "react";
import { controller } from "../state/controller";
import { useLive } from "../state/live";
import { type HotkeyAction, useSettings } from "../state/settings";
import { actionOf } from "./hotkeys";

const PRESSED: Record<HotkeyAction, () => void> = {
  toggle: () => controller.toggle(),
  compare: () => useLive.setState({ comparing: true }),
  talk: () => useLive.setState({ talking: true }),
  mute: () => useSettings.setState(({ muted }) => ({ muted: !muted })),
};

function press(event: KeyboardEvent): void {
  const action = actionOf(event, useSettings.getState().hotkeys);
  if (!action || (action === "talk" && !useSettings.getState().push_to_talk)) return;
  event.preventDefault();
  if (!event.repeat) PRESSED[action]();
}

/** Letting go counts wherever the focus went meanwhile. */
function release(event: KeyboardEvent): void {
  const { compare, talk } = useSettings.getState().hotkeys;
  if (event.code === compare) useLive.setState({ comparing: false });
  if (event.code === talk) useLive.setState({ talking: false });
}

const releaseAll = () => useLive.setState({ comparing: false, talking: false });

export function useHotkeys(): void {
  useEffect(() => {
    window.addEventListener("keydown", press);
    window.addEventListener("keyup", release);
    window.addEventListener("blur", releaseAll);
    return () => {
      window.removeEventListener("keydown", press);
      window.removeEventListener("keyup", release);
      window.removeEventListener("blur", releaseAll);
    };
  }, []);
}
