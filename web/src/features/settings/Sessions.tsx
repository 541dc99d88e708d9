import type { OpenSession } from "../../wire/rest";
import { Failure } from "../Dialog";
import { useHost } from "../host";
import { when } from "../write";
import type { List } from "./useList";

const KINDS: Record<OpenSession["kind"], string> = { control: "live voice", relay: "relay", realtime: "realtime API" };

/** Everybody who is connected, and how to end it. */
export function Sessions({ sessions }: { sessions: List<OpenSession> }) {
  const { api } = useHost();
  const { list, allowed, failure, act } = sessions;
  if (!allowed || !list) return null;
  return (
    <section className="stack" aria-labelledby="sessions-title">
      <h3 id="sessions-title">Who uses this server now</h3>
      <Failure text={failure} />
      {list.length === 0 && <p className="quiet">Nobody.</p>}
      <ul className="list">
        {list.map((session) => (
          <li key={session.id} className="row-card line">
            <span>
              {session.token || session.client}{" "}
              <span className="quiet">
                {KINDS[session.kind] ?? session.kind} · {session.voice || "no voice"} · {session.processing ? "speaking" : "idle"} · since{" "}
                {when(session.started_at)}
              </span>
            </span>
            <button
              type="button"
              className="plain danger"
              aria-label={`End the session of ${session.token || session.client}`}
              onClick={() => void act(api.endSession(session.id))}
            >
              End
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
