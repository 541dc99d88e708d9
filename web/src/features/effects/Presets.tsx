import { useState } from "react";
import { explain } from "../../api/errors";
import type { EffectKind, EffectPreset } from "../../wire/rest";
import { Dialog, Failure } from "../Dialog";
import { useHost } from "../host";
import { JobForm } from "../JobForm";
import { Delete, Rename } from "../rows";
import { type Link, specs } from "./chain";

const MAX_NAME = 80;

type PresetsProps = {
  chain: readonly Link[];
  catalogue: readonly EffectKind[];
  presets: readonly EffectPreset[];
  /** Which of them the chain was. */
  from: string;
  onKept: (name: string) => void;
  onChanged: () => Promise<void>;
  onClose: () => void;
};

/** Chains of effects under names of one's own: keep this one, rename and delete others. */
export function Presets({ chain, catalogue, presets, from, onKept, onChanged, onClose }: PresetsProps) {
  const { api } = useHost();
  const [name, setName] = useState(from);
  const [failure, setFailure] = useState("");
  const wanted = name.trim();
  const before = presets.some((one) => one.name === wanted);
  const nameOf = (wantedKind: string) => catalogue.find(({ kind }) => kind === wantedKind)?.name ?? wantedKind;

  async function keep(): Promise<void> {
    try {
      await api.keepEffects(wanted, specs(chain), before);
    } catch (error) {
      await onChanged().catch(() => undefined); // somebody else may have taken the name
      throw error;
    }
    onKept(wanted);
    await onChanged().catch(() => undefined);
    onClose();
  }

  const act = (what: Promise<unknown>) => {
    setFailure("");
    what.then(onChanged).catch((error) => setFailure(explain(error)));
  };

  return (
    <Dialog title="My presets of effects" onClose={onClose}>
      {chain.length > 0 ? (
        <JobForm work={keep} submit={before ? "Replace" : "Keep"} ready={wanted !== ""}>
          <label className="field">
            Name of {chain.length === 1 ? "this effect as it is set" : `these ${chain.length} effects as they are set`}
            <input
              data-first=""
              maxLength={MAX_NAME}
              value={name}
              onFocus={({ target }) => target.select()}
              onChange={({ target }) => setName(target.value)}
            />
          </label>
          <p className="quiet" role="status">
            {before ? "It takes the place of the one that has this name." : ""}
          </p>
        </JobForm>
      ) : (
        <p className="quiet">Add effects first; then they can be kept here under a name.</p>
      )}
      <Failure text={failure} />
      {presets.length > 0 && (
        <ul className="list" aria-label="Presets">
          {presets.map(({ id, name: called, effects }) => (
            <li key={id} className="row-card">
              <Rename
                key={called}
                name={called}
                maxLength={MAX_NAME}
                onRename={(other) => act(api.renameEffectPreset(id, other))}
              />
              <p className="quiet">
                {effects.map(({ kind, enabled }) => nameOf(kind) + (enabled ? "" : " (off)")).join(", ")}
              </p>
              <div className="actions">
                <Delete name={called} onDelete={() => act(api.deleteEffectPreset(id))} />
              </div>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
