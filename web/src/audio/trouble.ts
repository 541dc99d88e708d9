// What takes the sound away while it runs, and how it comes back: a call on a phone, a locked screen, a browser that
// waits for a press, a system that mutes the microphone.

export const ASLEEP =
  "The sound is held up: by a call, another program or a locked screen, or the browser waits for you. Press anywhere here to go on.";
export const MUTED = "The browser or the system has muted your microphone. Unmute it there; then it goes on by itself.";

const PRESSES = ["pointerup", "keydown", "visibilitychange"] as const; // after which a browser may let sound go on
const PATIENCE_MS = 1000;

/** Have a context run, and run again whenever it was stopped; `tell` whether it does not. Gives what ends the care. */
export async function keepAwake(context: AudioContext, tell: (asleep: boolean) => void): Promise<() => void> {
  const wake = () => {
    if (context.state !== "running" && context.state !== "closed") context.resume().catch(() => undefined);
  };
  const look = () => tell(context.state !== "running");
  // a browser that waits for a press does not answer until then
  await Promise.race([context.resume(), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
  if (context.state !== "running") look();
  context.addEventListener("statechange", look);
  for (const press of PRESSES) document.addEventListener(press, wake);
  return () => {
    context.removeEventListener("statechange", look);
    for (const press of PRESSES) document.removeEventListener(press, wake);
  };
}
