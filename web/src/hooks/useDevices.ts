import { useEffect, useState } from "react";
import { useLive } from "../state/live";

export interface DeviceList {
  microphones: MediaDeviceInfo[];
  speakers: MediaDeviceInfo[];
}

/** The browser's devices; it names them only once the microphone has been allowed. */
export function useDevices(): DeviceList {
  const [devices, setDevices] = useState<DeviceList>({ microphones: [], speakers: [] });
  const running = useLive((live) => live.phase === "running");
  useEffect(() => {
    const media = navigator.mediaDevices as MediaDevices | undefined;
    let gone = false;
    const look = async () => {
      const found = (await media?.enumerateDevices().catch(() => [])) ?? [];
      const named = found.filter(({ deviceId, label }) => deviceId && deviceId !== "default" && label);
      if (gone) return;
      setDevices({
        microphones: named.filter(({ kind }) => kind === "audioinput"),
        speakers: named.filter(({ kind }) => kind === "audiooutput"),
      });
    };
    void look();
    media?.addEventListener("devicechange", look);
    return () => {
      gone = true;
      media?.removeEventListener("devicechange", look);
    };
  }, [running]);
  return devices;
}
