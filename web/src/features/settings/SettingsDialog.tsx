import { useCallback, useEffect, useState } from "react";
import { ApiError, explain } from "../../api/errors";
import type { AccessToken, OpenSession, Role } from "../../wire/rest";
import { Dialog, Failure } from "../Dialog";
import { useHost } from "../host";
import { when } from "../write";

/** What an operator may see and do; who may not is told nothing of it. */
export function SettingsDialog({ onClose }: { onClose: () => void }) {
  const { request, connected, notify } = useHost();
  return (
    <Dialog title="Settings" onClose={onClose} wide>
      <section className="stack" aria-label="Status">
        <label className="field">
          Ask the server for levels and delay every
          <select
            defaultValue="0"
            disabled={!connected}
            onChange={({ target }) => {
              const interval_ms = Number(target.value);
              request({ action: "setStatusInterval", interval_ms }).catch((error) => notify(explain(error)));
            }}
          >
            <option value="0">200 ms (as usual)</option>
            <option value="50">50 ms, pushed</option>
            <option value="100">100 ms, pushed</option>
            <option value="500">500 ms, pushed</option>
            <option value="1000">second, pushed</option>
          </select>
        </label>
      </section>
      <Sessions />
      <Tokens />
    </Dialog>
  );
}

/** A list of the server's, where this token may have it. */
function useList<T>(load: () => Promise<T[]>) {
  const [list, setList] = useState<T[] | null>(null);
  const [allowed, setAllowed] = useState(true);
  const [failure, setFailure] = useState("");
  const refresh = useCallback(() => {
    load().then(setList, (error) => {
      if (error instanceof ApiError && [401, 403, 404].includes(error.status)) setAllowed(false);
      else setFailure(explain(error));
    });
  }, [load]);
  useEffect(refresh, [refresh]);
  const act = (what: Promise<unknown>) => {
    setFailure("");
    what.then(refresh, (error) => setFailure(explain(error)));
  };
  return { list: list ?? [], allowed, failure, act, refresh };
}

function Sessions() {
  const { api } = useHost();
  const load = useCallback(async () => (await api.sessions()).sessions, [api]);
  const { list, allowed, failure, act } = useList<OpenSession>(load);
  if (!allowed) return null;
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
                {session.kind} · {session.voice || "no voice"} · {session.processing ? "speaking" : "idle"} · since{" "}
                {when(session.started_at)}
              </span>
            </span>
            <button
              type="button"
              className="plain danger"
              aria-label={`End the session of ${session.token || session.client}`}
              onClick={() => act(api.endSession(session.id))}
            >
              End
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

const DAY_S = 86_400;
const ROLES: readonly [Role, string][] = [
  ["listen", "See what goes on"],
  ["use", "Use voices"],
  ["manage", "Everything"],
];

function Tokens() {
  const { api } = useHost();
  const load = useCallback(async () => (await api.tokens()).tokens, [api]);
  const { list, allowed, failure, act } = useList<AccessToken>(load);
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("use");
  const [days, setDays] = useState("0");
  const [text, setText] = useState("");
  if (!allowed) return null;
  const add = async () => {
    const made = await api.addToken(name.trim(), role, Number(days) * DAY_S || undefined);
    setText(made.token);
    setName("");
  };
  return (
    <section className="stack" aria-labelledby="tokens-title">
      <h3 id="tokens-title">Tokens</h3>
      <Failure text={failure} />
      <ul className="list">
        {list.map((token) => (
          <li key={token.id} className="row-card line">
            <span>
              {token.name}{" "}
              <span className="quiet">
                {ROLES.find(([known]) => known === token.role)?.[1] ?? token.role}
                {token.expires_at ? ` · until ${when(token.expires_at)}` : ""}
              </span>
            </span>
            <button
              type="button"
              className="plain danger"
              aria-label={`Remove the token ${token.name}`}
              onClick={() => act(api.removeToken(token.id))}
            >
              Remove
            </button>
          </li>
        ))}
      </ul>
      <form
        className="inline"
        onSubmit={(event) => {
          event.preventDefault();
          act(add());
        }}
      >
        <label className="field">
          For whom
          <input required maxLength={80} value={name} onChange={({ target }) => setName(target.value)} />
        </label>
        <label className="field">
          May
          <select value={role} onChange={({ target }) => setRole(target.value as Role)}>
            {ROLES.map(([value, said]) => (
              <option key={value} value={value}>
                {said}
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          For
          <select value={days} onChange={({ target }) => setDays(target.value)}>
            <option value="0">Ever</option>
            <option value="1">A day</option>
            <option value="30">30 days</option>
            <option value="365">A year</option>
          </select>
        </label>
        <button type="submit" className="primary" disabled={!name.trim()}>
          Add
        </button>
      </form>
      {text && (
        <div className="hint" role="status">
          <p>Copy it now: it is not shown again.</p>
          <code>{text}</code>
        </div>
      )}
    </section>
  );
}
