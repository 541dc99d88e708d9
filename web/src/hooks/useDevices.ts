import { useEffect, useState } from "react";
import { useLive } from "../state/live";

export interface DeviceList {
  microphones: MediaDeviceInfo[];
  speakers: MediaDeviceInfo[];
}

type Asking = MediaDevices & { selectAudioOutput?: () => Promise<MediaDeviceInfo> };

/** The loudspeaker that the browser has the person choose, where it does not show all to a page; null for none. */
export const askForSpeaker = (): (() => Promise<string | null>) | null => {
  const media = navigator.mediaDevices as Asking | undefined;
  if (!media?.selectAudioOutput) return null;
  return () =>
    (media.selectAudioOutput?.() ?? Promise.reject()).then(
      ({ deviceId }) => {
        media.dispatchEvent(new Event("devicechange")); // it is named from now on
        return deviceId;
      },
      () => null,
    );
};

/** One of each: Firefox tells devices of the same name apart by nothing. */
const of = (kind: MediaDeviceKind, devices: MediaDeviceInfo[]): MediaDeviceInfo[] => [
  ...new Map(devices.filter((one) => one.kind === kind).map((one) => [one.deviceId, one])).values(),
];

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
      setDevices({ microphones: of("audioinput", named), speakers: of("audiooutput", named) });
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
