import { useSettings } from "../state/settings";
import { MuteButton } from "./MuteButton";

/** How loud the person hears the changed voice. */
export function HearYourself() {
  const volume = useSettings((settings) => settings.volume);
  const muted = useSettings((settings) => settings.muted);
  const server = useSettings((settings) => settings.source === "server");
  if (server) return null; // it sounds at the server's computer
  return (
    <div className="hear">
      <label htmlFor="volume">Hear yourself</label>
      <input
        id="volume"
        type="range"
        min={0}
        max={100}
        value={volume}
        aria-valuetext={`${volume} %${muted ? ", muted" : ""}`}
        onChange={(event) => useSettings.setState({ volume: Number(event.target.value), muted: false })}
      />
      <MuteButton
        icon="speaker"
        label="Mute what you hear"
        muted={muted}
        onMute={(muted) => useSettings.setState({ muted })}
      />
    </div>
  );
}
