import { useDevices } from "../hooks/useDevices";
import { useServerDevices } from "../hooks/useServerDevices";
import { useLive } from "../state/live";
import { type Settings, useSettings } from "../state/settings";
import { Choice } from "./Choice";

const RATES = [16_000, 24_000, 44_100, 48_000];
const SWITCHES = [
  ["echo_cancellation", "Echo cancellation"],
  ["noise_suppression", "Noise suppression"],
  ["auto_gain", "Automatic gain"],
  ["push_to_talk", "Push to talk"],
] as const;

const set = (changes: Partial<Settings>) => useSettings.setState(changes);

export function AudioSettings() {
  const settings = useSettings();
  const idle = useLive((live) => live.phase === "idle");
  const server = settings.source === "server";
  return (
    <details className="audio">
      <summary>Audio</summary>
      <Choice
        id="source"
        label="Sound of"
        value={settings.source}
        disabled={!idle}
        options={[
          ["browser", "this browser"],
          ["server", "the server's computer"],
        ]}
        onChange={(source) => set({ source: source as Settings["source"] })}
      />
      {server ? <ServerChoices idle={idle} /> : <BrowserChoices idle={idle} />}
      <div className="slider">
        <label htmlFor="gain">Input gain</label>
        <input
          id="gain"
          type="range"
          min={-24}
          max={24}
          step={1}
          value={settings.gain_db}
          onChange={(event) => set({ gain_db: Number(event.target.value) })}
          onDoubleClick={() => set({ gain_db: 0 })}
        />
        <output htmlFor="gain">{settings.gain_db} dB</output>
      </div>
      {SWITCHES.map(([name, label]) => (
        <label key={name} className="check">
          <input type="checkbox" checked={settings[name]} onChange={(event) => set({ [name]: event.target.checked })} />
          {label}
        </label>
      ))}
    </details>
  );
}

const named = (devices: MediaDeviceInfo[]): [string, string][] => [
  ["", "the system's choice"],
  ...devices.map(({ deviceId, label }) => [deviceId, label] as [string, string]),
];

function BrowserChoices({ idle }: { idle: boolean }) {
  const { microphones, speakers } = useDevices();
  const { microphone, speaker, sample_rate } = useSettings();
  return (
    <>
      <Choice
        id="microphone"
        label="Microphone"
        value={microphone}
        options={named(microphones)}
        onChange={(device) => set({ microphone: device })}
      />
      <Choice
        id="speaker"
        label="Speaker"
        value={speaker}
        disabled={!("setSinkId" in AudioContext.prototype)}
        options={named(speakers)}
        onChange={(device) => set({ speaker: device })}
      />
      <Choice
        id="rate"
        label="Sample rate"
        value={String(sample_rate)}
        disabled={!idle}
        options={RATES.map((rate) => [String(rate), `${rate / 1000} kHz`])}
        onChange={(rate) => set({ sample_rate: Number(rate) })}
      />
    </>
  );
}

function ServerChoices({ idle }: { idle: boolean }) {
  const { inputs, outputs } = useServerDevices(true);
  const { server_input, server_output } = useSettings();
  const choices = (devices: { name: string }[]): [string, string][] => [
    ["", "the server's choice"],
    ...devices.map(({ name }) => [name, name] as [string, string]),
  ];
  return (
    <>
      <Choice
        id="server-input"
        label="Microphone"
        value={server_input}
        disabled={!idle}
        options={choices(inputs)}
        onChange={(name) => set({ server_input: name })}
      />
      <Choice
        id="server-output"
        label="Speaker"
        value={server_output}
        disabled={!idle}
        options={choices(outputs)}
        onChange={(name) => set({ server_output: name })}
      />
    </>
  );
}
