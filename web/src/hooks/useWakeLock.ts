import { useEffect } from "react";
import { useLive } from "../state/live";
import { useSettings } from "../state/settings";

/** A phone that goes to sleep takes the microphone away: it stays awake for as long as the person is heard. */
export function useWakeLock(): void {
  const running = useLive((live) => live.phase === "running");
  const browser = useSettings((settings) => settings.source === "browser");
  useEffect(() => {
    if (!running || !browser || !("wakeLock" in navigator)) return;
    let lock: WakeLockSentinel | null = null;
    let over = false;
    const take = async () => {
      if (document.visibilityState !== "visible") return; // it is let go of behind another page
      const taken = await navigator.wakeLock.request("screen").catch(() => null); // an empty battery comes first
      if (over) void taken?.release();
      else lock = taken;
    };
    void take();
    document.addEventListener("visibilitychange", take);
    return () => {
      over = true;
      document.removeEventListener("visibilitychange", take);
      void lock?.release();
    };
  }, [running, browser]);
}
