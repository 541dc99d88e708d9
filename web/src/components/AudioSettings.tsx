import { choosable } from "../audio/loudspeaker";
import { askForSpeaker, useDevices } from "../hooks/useDevices";
import { useServerDevices } from "../hooks/useServerDevices";
import { useLive } from "../state/live";
import { type Settings, useSettings } from "../state/settings";
import { Choice } from "./Choice";
import { narrow } from "./narrow";
import { Slider } from "./Slider";

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
    <details className="audio" open={narrow()}>
      <summary>Sound</summary>
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
      <Slider
        id="gain"
        label="Input gain"
        value={settings.gain_db}
        min={-24}
        max={24}
        step={1}
        said={`${settings.gain_db > 0 ? "+" : ""}${settings.gain_db} dB`}
        home={0}
        onChange={(gain_db) => set({ gain_db })}
      />
      <div className="checks">
        {SWITCHES.filter(([name]) => !server || name !== "echo_cancellation").map(([name, label]) => (
          <label key={name} className="check">
            <input
              type="checkbox"
              checked={settings[name]}
              onChange={(event) => set({ [name]: event.target.checked })}
            />
            {label}
          </label>
        ))}
      </div>
      <p className="quiet">
        {server
          ? "Echo is cancelled by browsers only."
          : choosable()
            ? "For a call or a stream: choose a virtual cable as speaker, and the cable as microphone there."
            : "This browser plays where the system says. For a call or a stream make a virtual cable the system's loudspeaker, or take another browser."}
      </p>
    </details>
  );
}

type Options = [string, string][];

const named = (devices: MediaDeviceInfo[], none: string): Options => [
  ["", none],
  ...devices.map(({ deviceId, label }) => [deviceId, label] as [string, string]),
];

const OTHER = "…"; // in place of a device: the browser asks which

function BrowserChoices({ idle }: { idle: boolean }) {
  const { microphones, speakers } = useDevices();
  const { microphone, speaker, monitor, sample_rate } = useSettings();
  const system = "the system's choice";
  const ask = askForSpeaker();
  const others: Options = ask ? [[OTHER, "another…"]] : [];
  const chosen = (name: "speaker" | "monitor") => async (device: string) => {
    const found = device === OTHER ? await ask?.() : device;
    if (typeof found === "string") set({ [name]: found });
  };
  return (
    <>
      <Choice
        id="microphone"
        label="Microphone"
        value={microphone}
        options={named(microphones, system)}
        onChange={(device) => set({ microphone: device })}
      />
      {choosable() && (
        <>
          <Choice
            id="speaker"
            label="Speaker"
            value={speaker}
            options={[...named(speakers, system), ...others]}
            onChange={chosen("speaker")}
          />
          <Choice
            id="monitor"
            label="Also hear on"
            value={monitor}
            options={[...named(speakers, "nothing else"), ...others]}
            onChange={chosen("monitor")}
          />
        </>
      )}
      {idle && !microphones.length && <p className="quiet">Devices have names here once you have pressed Start.</p>}
      <Choice
        id="rate"
        label="Sample rate"
        value={String(sample_rate)}
        disabled={!idle}
        options={[...new Set([...RATES, sample_rate])].map((rate) => [String(rate), `${rate / 1000} kHz`])}
        onChange={(rate) => set({ sample_rate: Number(rate) })}
      />
    </>
  );
}

function ServerChoices({ idle }: { idle: boolean }) {
  const { inputs, outputs } = useServerDevices(true);
  const { server_input, server_output, server_monitor } = useSettings();
  const choices = (devices: { name: string }[], none: string): Options => [
    ["", none],
    ...devices.map(({ name }) => [name, name] as [string, string]),
  ];
  const system = "the server's choice";
  return (
    <>
      <Choice
        id="server-input"
        label="Microphone"
        value={server_input}
        disabled={!idle}
        options={choices(inputs, system)}
        onChange={(name) => set({ server_input: name })}
      />
      <Choice
        id="server-output"
        label="Speaker"
        value={server_output}
        disabled={!idle}
        options={choices(outputs, system)}
        onChange={(name) => set({ server_output: name })}
      />
      <Choice
        id="server-monitor"
        label="Also hear on"
        value={server_monitor}
        disabled={!idle}
        options={choices(outputs, "nothing else")}
        onChange={(name) => set({ server_monitor: name })}
      />
    </>
  );
}
