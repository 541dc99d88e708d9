import { useCallback, useEffect, useState } from "react";
import { explain } from "../../api/errors";
import type { Recording, Side } from "../../wire/rest";
import { Dialog, Failure, Progress } from "../Dialog";
import { useHost } from "../host";
import { Delete, Download, Rename } from "../rows";
import { duration, size, when } from "../write";

const MANY = 8;
const SIDE: Record<Side, string> = { input: "You", output: "Changed voice" };

/** All recordings: hear, keep, rename, delete. */
export function RecordingsDialog({ onClose }: { onClose: () => void }) {
  const { api, listen } = useHost();
  const [recordings, setRecordings] = useState<Recording[] | null>(null);
  const [failure, setFailure] = useState("");
  const [search, setSearch] = useState("");
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

  const words = search.toLowerCase().split(/\s+/);
  const found = recordings?.filter((recording) => {
    const text = `${recording.name} ${recording.voice_name} ${when(recording.created_at)}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });

  return (
    <Dialog title="Recordings" onClose={onClose} wide>
      <Failure text={failure} />
      {recordings === null && <Progress label="Looking" />}
      {recordings?.length === 0 && !failure && (
        <p className="quiet">None yet. Press Start, then Record: what you say and what is heard are kept here.</p>
      )}
      {recordings && recordings.length > MANY && (
        <div className="find">
          <input
            type="search"
            placeholder="Search"
            aria-label="Search recordings"
            value={search}
            onChange={({ target }) => setSearch(target.value)}
          />
          <p className="quiet" role="status">
            {search.trim() ? `${found?.length} of ${recordings.length}` : `${recordings.length} recordings`}
          </p>
        </div>
      )}
      <ul className="list">
        {found?.map((recording) => (
          <Row
            key={recording.id}
            recording={recording}
            onRename={(name) => act(api.renameRecording(recording.id, name))}
            onDelete={() => act(api.deleteRecording(recording.id))}
            onFailure={setFailure}
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
  onFailure: (text: string) => void;
};

function Row({ recording, onRename, onDelete, onFailure }: RowProps) {
  const { api } = useHost();
  const { id, name, sides, state } = recording;
  const going = state === "recording";
  return (
    <li className="row-card many">
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
            <Download
              path={api.recordingPath(id, side)}
              fallback={`${name} ${side}.wav`}
              label={`Download ${name}: ${SIDE[side]}`}
              onFailure={onFailure}
            />
          </div>
        ))
      )}
      <div className="actions">
        <Delete name={name} disabled={going} onDelete={onDelete} />
      </div>
    </li>
  );
}
