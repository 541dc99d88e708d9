import { useCallback, useState } from "react";
import type { AccessToken, Role } from "../../wire/rest";
import { Failure } from "../Dialog";
import { useHost } from "../host";
import { Delete } from "../rows";
import { when } from "../write";
import { useList } from "./useList";

const DAY_S = 86_400;
const ROLES: readonly [Role, string][] = [
  ["listen", "See what goes on"],
  ["use", "Use voices"],
  ["manage", "Everything"],
];

/** Who may come with a token of their own. */
export function Tokens() {
  const { api } = useHost();
  const load = useCallback(async () => (await api.tokens()).tokens, [api]);
  const { list, allowed, failure, act } = useList<AccessToken>(load);
  const [text, setText] = useState("");
  if (!allowed || !list) return null;
  return (
    <section className="stack" aria-labelledby="tokens-title">
      <h3 id="tokens-title">Tokens</h3>
      <Failure text={failure} />
      {list.length === 0 && <p className="quiet">None. With one, another computer may use this server.</p>}
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
            <div className="actions">
              <Delete verb="Remove" name={`the token ${token.name}`} onDelete={() => void act(api.removeToken(token.id))} />
            </div>
          </li>
        ))}
      </ul>
      <NewToken
        onAdd={(name, role, days) =>
          act(
            api.addToken(name, role, days * DAY_S || undefined).then(({ token }) => {
              setText(token);
            }),
          )
        }
      />
      {text && (
        <div className="hint" role="status">
          <p>Copy it now: it is not shown again. This page asks for it elsewhere.</p>
          <code>{text}</code>
          <Copy text={text} />
        </div>
      )}
    </section>
  );
}

/** Puts a text where it can be pasted from; browsers allow it where the connection is secure. */
function Copy({ text }: { text: string }) {
  const [copied, setCopied] = useState("");
  if (!navigator.clipboard) return null;
  return (
    <button
      type="button"
      className="plain"
      onClick={() => {
        navigator.clipboard.writeText(text).then(
          () => setCopied(text),
          () => undefined, // it can be marked and copied by hand
        );
      }}
    >
      {copied === text ? "Copied" : "Copy"}
    </button>
  );
}

type NewTokenProps = { onAdd: (name: string, role: Role, days: number) => Promise<boolean> };

function NewToken({ onAdd }: NewTokenProps) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("use");
  const [days, setDays] = useState("0");
  return (
    <form
      className="inline"
      onSubmit={(event) => {
        event.preventDefault();
        void onAdd(name.trim(), role, Number(days)).then((added) => added && setName(""));
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
  );
}
