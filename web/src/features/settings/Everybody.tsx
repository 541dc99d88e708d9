import { type ReactNode, useEffect, useState } from "react";
import { explain } from "../../api/errors";
import type { Settings, SettingsChange } from "../../wire/rest";
import { Failure } from "../Dialog";
import { useHost } from "../host";
import { useJob } from "../useJob";
import { INTERVALS, RATES } from "./choices";

const SWITCHES = [
  ["echo_cancellation", "Echo cancellation"],
  ["noise_suppression", "Noise suppression"],
  ["auto_gain", "Automatic gain"],
] as const;
const GB = 1e9;
const HOUR_S = 3600;

/** What the server has for everybody who chose nothing else; for those who manage it. */
export function Everybody() {
  const { api } = useHost();
  const [settings, setSettings] = useState<Settings | null>(null);
  const [changes, setChanges] = useState<SettingsChange>({});
  const [unread, setUnread] = useState("");
  const { busy, failure, run } = useJob();
  useEffect(() => {
    api.settings().then(setSettings, (error) => setUnread(explain(error)));
  }, [api]);
  if (unread) return <Failure text={unread} />;
  if (!settings) return null;
  const changed = Object.keys(changes).length > 0;
  const save = async () => {
    setSettings(await api.changeSettings(changes));
    setChanges({});
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
      <Fields settings={{ ...settings, ...changes }} set={(more) => setChanges({ ...changes, ...more })} />
      <Failure text={failure} />
      <div className="actions">
        <p className="quiet" role="status">
          {changed ? "Not saved yet." : "It holds for all who have not chosen otherwise."}
        </p>
        <button type="submit" className="primary" disabled={busy || !changed}>
          Save for everybody
        </button>
      </div>
    </form>
  );
}

function Fields({ settings, set }: { settings: Settings; set: (changes: SettingsChange) => void }) {
  const { voices } = useHost();
  return (
    <>
      <div className="fields">
        <Choice
          label="Voice to begin with"
          value={settings.voice ?? ""}
          onChange={(voice) => set({ voice: voice || null })}
        >
          <option value="">The first one</option>
          {voices.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </Choice>
        <Choice
          label="Theme"
          value={settings.theme}
          onChange={(theme) => set({ theme: theme as Settings["theme"] })}
        >
          <option value="system">As the system has it</option>
          <option value="light">Light</option>
          <option value="dark">Dark</option>
        </Choice>
        <Choice
          label="Sample rate"
          value={settings.sample_rate}
          onChange={(rate) => set({ sample_rate: Number(rate) })}
        >
          {[...new Set([...RATES, settings.sample_rate])].map((rate) => (
            <option key={rate} value={rate}>
              {rate / 1000} kHz
            </option>
          ))}
        </Choice>
        <Choice
          label="Levels and delay every"
          value={settings.status_interval_ms}
          onChange={(ms) => set({ status_interval_ms: Number(ms) })}
        >
          {[...new Set([...INTERVALS, settings.status_interval_ms])].map((ms) => (
            <option key={ms} value={ms}>
              {ms} ms
            </option>
          ))}
        </Choice>
        <Amount
          label="All recordings together, GB"
          value={settings.recordings_max_bytes / GB}
          min={0}
          onChange={(value) => set({ recordings_max_bytes: Math.round(value * GB) })}
        />
        <Amount
          label="One recording, hours"
          value={settings.recordings_max_s / HOUR_S}
          min={0.01}
          max={24}
          onChange={(value) => set({ recordings_max_s: value * HOUR_S })}
        />
      </div>
      <div className="checks">
        {SWITCHES.map(([name, label]) => (
          <label key={name} className="check">
            <input
              type="checkbox"
              checked={settings[name]}
              onChange={({ target }) => set({ [name]: target.checked })}
            />
            {label}
          </label>
        ))}
      </div>
    </>
  );
}

type ChoiceProps = {
  label: string;
  value: string | number;
  onChange: (value: string) => void;
  children: ReactNode;
};

function Choice({ label, value, onChange, children }: ChoiceProps) {
  return (
    <label className="field">
      {label}
      <select value={value} onChange={({ target }) => onChange(target.value)}>
        {children}
      </select>
    </label>
  );
}

type AmountProps = { label: string; value: number; min: number; max?: number; onChange: (value: number) => void };

/** A number at most; typed, so that it is the form's to say what is wrong with it. */
function Amount({ label, value, min, max, onChange }: AmountProps) {
  return (
    <label className="field">
      {label}
      <input
        type="number"
        required
        min={min}
        max={max}
        step="any"
        defaultValue={Math.round(value * 100) / 100}
        onChange={({ target }) => Number.isFinite(target.valueAsNumber) && onChange(target.valueAsNumber)}
      />
    </label>
  );
}
