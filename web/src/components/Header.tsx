import { useEffect, useState } from "react";
import { useLive } from "../state/live";
import { type Settings, useSettings } from "../state/settings";

const NEXT: Record<Settings["theme"], Settings["theme"]> = { auto: "light", light: "dark", dark: "auto" };

function useConnectionText(): string {
  const connection = useLive((live) => live.connection);
  const retryAt = useLive((live) => live.retryAt);
  const [now, setNow] = useState(0);
  useEffect(() => {
    if (connection !== "lost") return;
    setNow(performance.now());
    const ticking = setInterval(() => setNow(performance.now()), 250);
    return () => clearInterval(ticking);
  }, [connection]);
  const left = Math.ceil((retryAt - now) / 1000);
  if (connection === "open") return "Connected";
  return connection === "lost" && left > 0 ? `No server. Next try in ${left} s` : "Connecting…";
}

export function Header({ onHelp }: { onHelp: () => void }) {
  const connection = useLive((live) => live.connection);
  const theme = useSettings((settings) => settings.theme);
  return (
    <header className="top">
      <img className="mark" src={`${import.meta.env.BASE_URL}icon.svg`} alt="" width="36" height="36" />
      <div>
        <p className="brand">menura</p>
        <p className="tagline">Change your voice while you speak</p>
      </div>
      <p id="connection" className="connection" role="status" data-state={connection}>
        {useConnectionText()}
      </p>
      <button type="button" className="plain" onClick={() => useSettings.setState({ theme: NEXT[theme] })}>
        <span className="wide">Theme: </span>
        {theme}
      </button>
      <button type="button" className="plain" onClick={onHelp}>
        Keys
      </button>
    </header>
  );
}
