// Keys that act wherever the focus is, except where a person types or a control uses the key itself.

import type { HotkeyAction } from "../state/settings";

type Hotkeys = Record<HotkeyAction, string>;

const TYPED = "input:not([type=range]):not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]";
const USES_SPACE = "button, summary, a, input, [role=button]";

/** Whether a key belongs to the control that has the focus, or to the browser. */
function taken(event: KeyboardEvent, pointed: boolean): boolean {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return true;
  const at = event.target instanceof Element ? event.target : null;
  if (!at) return false;
  const pressed = event.code === "Space" && !pointed && at.closest(USES_SPACE);
  return Boolean(at.closest(TYPED) || at.closest("dialog") || pressed);
}

/**
 * The action of a key; null where the key belongs to the control that has the focus.
 *
 * @param pointed the focus came there by mouse or finger: who clicked a button does not mean it with the space bar
 */
export function actionOf(event: KeyboardEvent, hotkeys: Hotkeys, pointed = false): HotkeyAction | null {
  if (taken(event, pointed)) return null;
  const found = Object.entries(hotkeys).find(([, code]) => code && code === event.code);
  return (found?.[0] as HotkeyAction | undefined) ?? null;
}

/** Which favourite a digit means, from 0; −1 for none. A key that has an action keeps it. */
export function favouriteOf(event: KeyboardEvent, hotkeys: Hotkeys): number {
  const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
  return digit && !taken(event, false) && !Object.values(hotkeys).includes(event.code) ? Number(digit) - 1 : -1;
}

/** The keys with another one for an action; who had it before has none then. */
export function assigned(hotkeys: Hotkeys, action: HotkeyAction, code: string): Hotkeys {
  const free = Object.entries(hotkeys).map(([name, had]) => [name, code && had === code ? "" : had]);
  return { ...(Object.fromEntries(free) as Hotkeys), [action]: code };
}

/** How a key is written for people. */
export function keyName(code: string): string {
  return code.replace(/^(Key|Digit)/, "").replace(/^Arrow/, "Arrow ") || "none";
}
