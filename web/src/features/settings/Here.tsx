import { useState } from "react";
import { forget, type Settings, useSettings } from "../../state/settings";
import { INTERVALS } from "./choices";

/** What is kept in this browser alone. */
export function Here({ onKeys }: { onKeys: () => void }) {
  const { theme, status_interval_ms } = useSettings();
  const [said, setSaid] = useState("");
  return (
    <section className="stack" aria-labelledby="here-title">
      <h3 id="here-title">In this browser</h3>
      <div className="fields">
        <label className="field">
          Theme
          <select
            value={theme}
            onChange={({ target }) => useSettings.setState({ theme: target.value as Settings["theme"] })}
          >
            <option value="auto">As the system has it</option>
            <option value="light">Light</option>
            <option value="dark">Dark</option>
          </select>
        </label>
        <label className="field">
          Levels and delay every
          <select
            value={status_interval_ms}
            onChange={({ target }) => useSettings.setState({ status_interval_ms: Number(target.value) })}
          >
            {[...new Set([...INTERVALS, status_interval_ms])].map((ms) => (
              <option key={ms} value={ms}>
                {ms} ms
              </option>
            ))}
          </select>
        </label>
      </div>
      <div className="actions">
        <p className="quiet" role="status">
          {said}
        </p>
        <button
          type="button"
          className="plain"
          onClick={() => {
            forget();
            setSaid("All is as the server has it.");
          }}
        >
          Forget what I chose
        </button>
        <button type="button" className="plain" onClick={onKeys}>
          Keys…
        </button>
      </div>
    </section>
  );
}
