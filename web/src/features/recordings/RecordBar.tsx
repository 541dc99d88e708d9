import { useEffect, useState } from "react";
import { explain } from "../../api/errors";
import type { Recording, StartRecording } from "../../wire/control";
import { useDialogs } from "../dialogs";
import { useHost } from "../host";
import { duration } from "../write";

type Sides = NonNullable<StartRecording["sides"]>;

/** Record what goes in, what comes out, or both; on the server, so that it outlives the page. */
export function RecordBar() {
  const { running, request, listen, notify } = useHost();
  const [sides, setSides] = useState<Sides>("both");
  const [recording, setRecording] = useState<Recording | null>(null);
  const [since, setSince] = useState(0);
  const [now, setNow] = useState(0);
  const [busy, setBusy] = useState(false);
  const [kept, setKept] = useState(false);
  const open = useDialogs((state) => state.open);

  useEffect(
    () =>
      listen((message) => {
        if (message.type === "recordingStarted") {
          setRecording(message.recording);
          setKept(false);
          setSince(performance.now());
          setNow(performance.now());
        }
        if (message.type === "recordingStopped") {
          setRecording(null);
          setKept(true);
        }
      }),
    [listen],
  );
  useEffect(() => {
    if (!running) setRecording(null); // the session's end ends its recording
  }, [running]);
  useEffect(() => {
    if (!recording) return;
    const timer = setInterval(() => setNow(performance.now()), 250);
    return () => clearInterval(timer);
  }, [recording]);

  async function turn(): Promise<void> {
    setBusy(true);
    try {
      await request(recording ? { action: "stopRecording" } : { action: "startRecording", sides });
    } catch (error) {
      notify(explain(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <div className="record" data-recording={recording !== null}>
      <button
        type="button"
        className="plain record-button"
        aria-pressed={recording !== null}
        disabled={busy || !running}
        onClick={() => void turn()}
      >
        <span className="dot" aria-hidden="true" />
        {recording ? "Stop recording" : "Record"}
      </button>
      {recording ? (
        <span className="time" role="timer" aria-label="Recorded">
          {duration(now - since)}
        </span>
      ) : (
        <select aria-label="What is recorded" value={sides} onChange={({ target }) => setSides(target.value as Sides)}>
          <option value="both">Both sides</option>
          <option value="input">You</option>
          <option value="output">Changed voice</option>
        </select>
      )}
      {kept && (
        <button type="button" className="plain" onClick={() => open("recordings")}>
          Listen
        </button>
      )}
      <p className="unseen" role="status">
        {recording ? "Recording" : kept ? "The recording is kept" : ""}
      </p>
    </div>
  );
}
