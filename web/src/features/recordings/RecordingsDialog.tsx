import { useCallback, useEffect, useState } from "react";
import { explain } from "../../api/errors";
import type { Recording, Side } from "../../wire/rest";
import { Dialog, Failure, Progress } from "../Dialog";
import { useHost } from "../host";
import { Delete, Rename } from "../rows";
import { download } from "../save";
import { duration, size, when } from "../write";

const SIDE: Record<Side, string> = { input: "You", output: "Changed voice" };

/** All recordings: hear, keep, rename, delete. */
export function RecordingsDialog({ onClose }: { onClose: () => void }) {
  const { api, listen } = useHost();
  const [recordings, setRecordings] = useState<Recording[] | null>(null);
  const [failure, setFailure] = useState("");
  const load = useCallback(() => {
    api.recordings().then(
      (told) => setRecordings(told.recordings),
      (error) => {
        setRecordings((before) => before ?? []);
        setFailure(explain(error));
      },
    );
  }, [api]);
  useEffect(load, [load]);
  useEffect(() => listen(({ type }) => type.startsWith("recording") && load()), [listen, load]);

  const act = (what: Promise<unknown>) => {
    setFailure("");
    what.then(load, (error) => setFailure(explain(error)));
  };

  return (
    <Dialog title="Recordings" onClose={onClose} wide>
      <Failure text={failure} />
      {recordings === null && <Progress label="Looking" />}
      {recordings?.length === 0 && !failure && (
        <p className="quiet">None yet. Press Start, then Record: what you say and what is heard are kept here.</p>
      )}
      <ul className="list">
        {recordings?.map((recording) => (
          <Row
            key={recording.id}
            recording={recording}
            onRename={(name) => act(api.renameRecording(recording.id, name))}
            onDelete={() => act(api.deleteRecording(recording.id))}
            onDownload={(side) =>
              act(download(api, api.recordingPath(recording.id, side), `${recording.name} ${side}.wav`))
            }
          />
        ))}
      </ul>
    </Dialog>
  );
}

type RowProps = {
  recording: Recording;
  onRename: (name: string) => void;
  onDelete: () => void;
  onDownload: (side: Side) => void;
};

function Row({ recording, onRename, onDelete, onDownload }: RowProps) {
  const { api } = useHost();
  const { id, name, sides, state } = recording;
  const going = state === "recording";
  return (
    <li className="row-card">
      <Rename name={name} maxLength={200} disabled={going} onRename={onRename} />
      <p className="quiet">
        {[
          when(recording.created_at),
          recording.voice_name,
          duration(recording.duration_ms),
          size(recording.size),
          state === "cut" ? "ended early" : "",
        ]
          .filter(Boolean)
          .join(" · ")}
      </p>
      {going ? (
        <p className="quiet">Recording now…</p>
      ) : (
        sides.map((side) => (
          <div key={side} className="side">
            <span>{SIDE[side]}</span>
            <audio
              controls
              preload="none"
              aria-label={`${name}: ${SIDE[side]}`}
              src={api.mediaUrl(api.recordingPath(id, side))}
            />
            <button
              type="button"
              className="plain"
              aria-label={`Download ${name}: ${SIDE[side]}`}
              onClick={() => onDownload(side)}
            >
              Download
            </button>
          </div>
        ))
      )}
      <div className="actions">
        <Delete name={name} disabled={going} onDelete={onDelete} />
      </div>
    </li>
  );
}
