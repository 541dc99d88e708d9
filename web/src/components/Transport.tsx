import { controller } from "../state/controller";
import { type Phase, useLive } from "../state/live";
import { useSettings } from "../state/settings";
import { useWhyNot } from "../state/role";
import { Allowed } from "./Allowed";
import { HoldButton } from "./HoldButton";
import { MuteButton } from "./MuteButton";

const LABELS: Record<Phase, string> = {
  idle: "Start",
  opening: "Starting…",
  starting: "Starting…",
  running: "Stop",
  stopping: "Stopping…",
};

export function Transport() {
  const phase = useLive((live) => live.phase);
  const connected = useLive((live) => live.connection === "open");
  const why = useWhyNot("use");
  const comparing = useLive((live) => live.comparing);
  const talking = useLive((live) => live.talking);
  const silent = useLive((live) => live.silent);
  const voice = useSettings((settings) => settings.voice);
  const push_to_talk = useSettings((settings) => settings.push_to_talk);
  const server = useSettings((settings) => settings.source === "server");
  return (
    <div className="transport">
      <button
        type="button"
        className="start"
        disabled={!voice || why !== "" || (phase === "idle" && !connected)}
        onClick={() => controller.toggle()}
      >
        {phase === "starting" && !connected ? "Reconnecting…" : LABELS[phase]}
      </button>
      <Allowed needed="use">
        <div className="holds">
          {push_to_talk && (
            <HoldButton held={talking} onHold={(held) => useLive.setState({ talking: held })}>
              Hold to talk
            </HoldButton>
          )}
          <HoldButton held={comparing} onHold={(held) => useLive.setState({ comparing: held })}>
            Hold to compare
          </HoldButton>
          <MuteButton
            icon="microphone"
            label="Mute the microphone"
            muted={silent}
            onMute={(silent) => useLive.setState({ silent })}
          />
        </div>
      </Allowed>
      {why && <p className="quiet why">{why}</p>}
      {phase === "idle" && !why && !server && (
        <p className="quiet">Wear headphones: from a loudspeaker the microphone would hear you twice.</p>
      )}
    </div>
  );
}
