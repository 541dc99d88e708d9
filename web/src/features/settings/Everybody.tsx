import { useEffect, useState } from "react";
import { ApiError, explain } from "../../api/errors";
import type { ServerSettings } from "../../api/settings";
import { Failure } from "../Dialog";
import { useHost } from "../host";
import { useJob } from "../useJob";
import { INTERVALS, RATES } from "./choices";

const SWITCHES = [
  ["echo_cancellation", "Echo cancellation"],
  ["noise_suppression", "Noise suppression"],
  ["auto_gain", "Automatic gain"],
] as const;

/** What the server has for everybody who chose nothing else; for those who manage it. */
export function Everybody() {
  const { api, voices } = useHost();
  const [settings, setSettings] = useState<ServerSettings | null>(null);
  const [said, setSaid] = useState("");
  const { busy, failure, run } = useJob();
  const [unread, setUnread] = useState("");
  useEffect(() => {
    api.settings().then(setSettings, (error) => setUnread(explain(error)));
  }, [api]);
  if (unread) return <Failure text={unread} />;
  if (!settings) return null;
  const set = (changes: Partial<ServerSettings>) => {
    setSaid("");
    setSettings({ ...settings, ...changes });
  };
  const save = async () => {
    try {
      setSettings(await api.saveSettings(settings));
      setSaid("Saved. It holds for everybody who has not chosen otherwise.");
    } catch (error) {
      if (error instanceof ApiError && error.status === 403) throw new Error("Only who manages this server may");
      throw error;
    }
  };
  return (
    <form
      className="stack"
      aria-labelledby="everybody-title"
      onSubmit={(event) => {
        event.preventDefault();
        void run(save);
      }}
    >
      <h3 id="everybody-title">For everybody who opens this page</h3>
      <div className="fields">
        <label className="field">
          Voice to begin with
          <select value={settings.voice ?? ""} onChange={({ target }) => set({ voice: target.value || null })}>
            <option value="">The first one</option>
            {voices.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          Theme
          <select
            value={settings.theme}
            onChange={({ target }) => set({ theme: target.value as ServerSettings["theme"] })}
          >
            <option value="system">As the system has it</option>
            <option value="light">Light</option>
            <option value="dark">Dark</option>
          </select>
        </label>
        <label className="field">
          Sample rate
          <select
            value={settings.sample_rate}
            onChange={({ target }) => set({ sample_rate: Number(target.value) })}
          >
            {[...new Set([...RATES, settings.sample_rate])].map((rate) => (
              <option key={rate} value={rate}>
                {rate / 1000} kHz
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          Levels and delay every
          <select
            value={settings.status_interval_ms}
            onChange={({ target }) => set({ status_interval_ms: Number(target.value) })}
          >
            {[...new Set([...INTERVALS, settings.status_interval_ms])].map((ms) => (
              <option key={ms} value={ms}>
                {ms} ms
              </option>
            ))}
          </select>
        </label>
      </div>
      <div className="checks">
        {SWITCHES.map(([name, label]) => (
          <label key={name} className="check">
            <input type="checkbox" checked={settings[name]} onChange={({ target }) => set({ [name]: target.checked })} />
            {label}
          </label>
        ))}
      </div>
      <Failure text={failure} />
      <div className="actions">
        <p className="quiet" role="status">
          {said}
        </p>
        <button type="submit" className="primary" disabled={busy}>
          Save for everybody
        </button>
      </div>
    </form>
  );
}
