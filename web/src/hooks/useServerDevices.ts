import { useEffect, useState } from "react";
import { controller } from "../state/controller";

export interface ServerDevice {
  index: number;
  name: string;
  host_api: string;
}

export interface ServerDevices {
  inputs: ServerDevice[];
  outputs: ServerDevice[];
}

/** The server machine's devices, asked for when `wanted`; none where it does not tell. */
export function useServerDevices(wanted: boolean): ServerDevices {
  const [devices, setDevices] = useState<ServerDevices>({ inputs: [], outputs: [] });
  useEffect(() => {
    if (!wanted) return;
    const leaving = new AbortController();
    const headers: HeadersInit = controller.token ? { Authorization: `Bearer ${controller.token}` } : {};
    fetch("/api/devices", { headers, signal: leaving.signal })
      .then(async (response) => {
        if (response.ok) setDevices((await response.json()) as ServerDevices);
      })
      .catch(() => undefined); // the connection's own notice tells of a server that is gone
    return () => leaving.abort();
  }, [wanted]);
  return devices;
}
