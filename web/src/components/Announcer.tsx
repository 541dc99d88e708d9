import { useLive } from "../state/live";
import { useSettings } from "../state/settings";

/** What has changed, for those who do not see it; trouble is the notice's to tell. */
export function Announcer() {
  const phase = useLive((live) => live.phase);
  const silent = useLive((live) => live.silent);
  const watching = useLive((live) => live.role === "listen");
  const voice = useSettings((settings) => settings.voice);
  const name = useLive(({ voices }) => voices?.find(({ id }) => id === voice)?.name);
  const state = { idle: "Stopped", opening: "Starting", starting: "Starting", running: "Live", stopping: "Stopping" };
  const parts = [
    state[phase],
    name && phase === "running" ? `your voice is ${name}` : "",
    silent ? "microphone muted" : "",
    watching ? "you may listen only" : "",
  ];
  return (
    <p className="unseen" role="status">
      {parts.filter(Boolean).join(", ")}
    </p>
  );
}
