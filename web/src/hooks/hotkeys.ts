// Keys that act wherever the focus is, except where a person types or a control uses the key itself.

import type { HotkeyAction } from "../state/settings";

const TYPED = "input:not([type=range]):not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]";
const USES_SPACE = "button, summary, a, input, [role=button]";

/** The action of a key; null where the key belongs to the control that has the focus. */
export function actionOf(event: KeyboardEvent, hotkeys: Record<HotkeyAction, string>): HotkeyAction | null {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return null;
  const at = event.target instanceof Element ? event.target : null;
  if (at?.closest(TYPED) || (event.code === "Space" && at?.closest(USES_SPACE)) || at?.closest("dialog")) return null;
  const found = Object.entries(hotkeys).find(([, code]) => code && code === event.code);
  return (found?.[0] as HotkeyAction | undefined) ?? null;
}

/** How a key is written for people. */
export function keyName(code: string): string {
  return code.replace(/^(Key|Digit)/, "").replace(/^Arrow/, "Arrow ") || "none";
}
