import { useEffect } from "react";
import { controller } from "../state/controller";
import { useLive } from "../state/live";
import { type HotkeyAction, useSettings } from "../state/settings";
import { actionOf, favouriteOf } from "./hotkeys";

const PRESSED: Record<HotkeyAction, () => void> = {
  toggle: () => controller.toggle(),
  compare: () => useLive.setState({ comparing: true }),
  talk: () => useLive.setState({ talking: true }),
  microphone: () => useLive.setState(({ silent }) => ({ silent: !silent })),
  mute: () => useSettings.setState(({ muted }) => ({ muted: !muted })),
};

const MOVES = /^(Tab|Arrow\w+|Home|End|PageUp|PageDown)$/;
let pointed = false; // the focus is where a mouse or finger put it

const point = () => {
  pointed = true;
};

function press(event: KeyboardEvent): void {
  if (MOVES.test(event.key)) pointed = false;
  const { hotkeys, push_to_talk } = useSettings.getState();
  const action = actionOf(event, hotkeys, pointed);
  if (!action) return choose(favouriteOf(event, hotkeys));
  if (action === "talk" && !push_to_talk) return;
  event.preventDefault();
  if (!event.repeat) PRESSED[action]();
}

/** A favourite by its number, in the order of the cards. */
function choose(at: number): void {
  const wanted = useLive.getState().voices?.filter(({ favourite }) => favourite)[at];
  if (wanted) controller.selectVoice(wanted.id);
}

/** Letting go counts wherever the focus went meanwhile. */
function release(event: KeyboardEvent): void {
  const { hotkeys, push_to_talk } = useSettings.getState();
  const { compare, talk } = hotkeys;
  const action = actionOf(event, hotkeys, pointed);
  if (action && (action !== "talk" || push_to_talk)) event.preventDefault(); // or a button is pressed in some browsers
  if (event.code === compare) useLive.setState({ comparing: false });
  if (event.code === talk) useLive.setState({ talking: false });
}

const releaseAll = () => useLive.setState({ comparing: false, talking: false });

export function useHotkeys(): void {
  useEffect(() => {
    window.addEventListener("keydown", press);
    window.addEventListener("keyup", release);
    window.addEventListener("pointerdown", point);
    window.addEventListener("blur", releaseAll);
    return () => {
      window.removeEventListener("keydown", press);
      window.removeEventListener("keyup", release);
      window.removeEventListener("pointerdown", point);
      window.removeEventListener("blur", releaseAll);
    };
  }, []);
}
