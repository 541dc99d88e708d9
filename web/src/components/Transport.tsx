import { controller } from "../state/controller";
import { type Phase, useLive } from "../state/live";
import { useSettings } from "../state/settings";

const LABELS: Record<Phase, string> = {
  idle: "Start",
  opening: "Starting…",
  starting: "Starting…",
  running: "Stop",
  stopping: "Stopping…",
};

const hold = (comparing: boolean) => () => useLive.setState({ comparing });
const talk = (talking: boolean) => () => useLive.setState({ talking });

export function Transport() {
  const phase = useLive((live) => live.phase);
  const connected = useLive((live) => live.connection === "open");
  const comparing = useLive((live) => live.comparing);
  const talking = useLive((live) => live.talking);
  const { voice, push_to_talk, volume, muted } = useSettings();
  return (
    <div className="transport">
      <button
        type="button"
        className="start"
        disabled={!voice || (phase === "idle" && !connected)}
        onClick={() => controller.toggle()}
      >
        {LABELS[phase]}
      </button>
      <div className="row">
        <button
          type="button"
          className="plain grow"
          aria-pressed={comparing}
          onPointerDown={hold(true)}
          onPointerUp={hold(false)}
          onPointerLeave={hold(false)}
          onKeyDown={({ key }) => (key === " " || key === "Enter") && hold(true)()}
          onKeyUp={hold(false)}
          onBlur={hold(false)}
        >
          Hold to compare
        </button>
        {push_to_talk && (
          <button
            type="button"
            className="plain grow"
            aria-pressed={talking}
            onPointerDown={talk(true)}
            onPointerUp={talk(false)}
            onPointerLeave={talk(false)}
            onKeyDown={({ key }) => (key === " " || key === "Enter") && talk(true)()}
            onKeyUp={talk(false)}
            onBlur={talk(false)}
          >
            Hold to talk
          </button>
        )}
      </div>
      <div className="row">
        <label htmlFor="volume">Hear yourself</label>
        <input
          id="volume"
          type="range"
          min={0}
          max={100}
          value={volume}
          onChange={(event) => useSettings.setState({ volume: Number(event.target.value), muted: false })}
        />
        <button
          type="button"
          className="plain"
          aria-pressed={muted}
          onClick={() => useSettings.setState({ muted: !muted })}
        >
          Mute
        </button>
      </div>
      <p className="quiet">Wear headphones: from a loudspeaker the microphone would hear you twice.</p>
    </div>
  );
}
