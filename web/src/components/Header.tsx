import { useEffect, useState } from "react";
import { Toolbar } from "../features/Features";
import { useLive } from "../state/live";
import { type Settings, useSettings } from "../state/settings";
import { Icon } from "./Icon";

const NEXT: Record<Settings["theme"], Settings["theme"]> = { auto: "light", light: "dark", dark: "auto" };

/** What is said aloud, and beside it what changes every second. */
function useConnectionText(): [string, string] {
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
  if (connection === "open") return ["Connected", ""];
  return connection === "lost" && left > 0 ? ["No server", `Next try in ${left} s`] : ["Connecting…", ""];
}

export function Header({ onHelp, plain }: { onHelp: () => void; plain: boolean }) {
  const connection = useLive((live) => live.connection);
  const theme = useSettings((settings) => settings.theme);
  const [told, beside] = useConnectionText();
  const said = plain ? "Needs a token" : told;
  return (
    <header className="top">
      <img className="mark" src={`${import.meta.env.BASE_URL}icon.svg`} alt="" width="36" height="36" />
      <div className="brand">
        <h1>menura</h1>
        <p className="tagline">Change your voice while you speak</p>
      </div>
      <p id="connection" className="connection" role="status" data-state={connection}>
        <span>{said}</span> {beside && !plain && <span aria-hidden="true">{beside}</span>}
      </p>
      {!plain && <Toolbar />}
      <div className="tools">
        {!plain && (
          <button type="button" className="tool" onClick={onHelp}>
            <Icon name="keys" />
            <span>Keys</span>
          </button>
        )}
        <button
          type="button"
          className="tool"
          aria-label={`Theme: ${theme}`}
          title={`Theme: ${theme}`}
          onClick={() => useSettings.setState({ theme: NEXT[theme] })}
        >
          <Icon name={theme} />
        </button>
      </div>
    </header>
  );
}
