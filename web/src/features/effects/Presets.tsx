import { useState } from "react";
import type { EffectPreset } from "../../wire/rest";
import { Dialog, Failure } from "../Dialog";
import { useHost } from "../host";
import { useJob } from "../useJob";
import { type Link, specs } from "./chain";

type PresetsProps = {
  chain: readonly Link[];
  presets: readonly EffectPreset[];
  onChanged: () => Promise<void>;
  onClose: () => void;
};

/** Chains of effects under names of one's own: keep this one, delete others. */
export function Presets({ chain, presets, onChanged, onClose }: PresetsProps) {
  const { api } = useHost();
  const [name, setName] = useState("");
  const { busy, failure, run } = useJob();
  const wanted = name.trim();
  const before = presets.find((one) => one.name === wanted);

  async function keep(): Promise<void> {
    if (before) await api.deleteEffectPreset(before.id);
    await api.keepEffects(wanted, specs(chain));
    await onChanged();
    onClose();
  }

  return (
    <Dialog title="My presets of effects" onClose={onClose}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void run(keep);
        }}
      >
        {chain.length > 0 ? (
          <>
            <label className="field">
              Name of these {chain.length === 1 ? "settings" : `${chain.length} effects`}
              <input
                required
                data-first=""
                maxLength={80}
                value={name}
                disabled={busy}
                onChange={({ target }) => setName(target.value)}
              />
            </label>
            {before && <p className="quiet">It takes the place of the one that has this name.</p>}
            <div className="actions">
              <button type="submit" className="primary" disabled={busy || !wanted}>
                {before ? "Replace" : "Keep"}
              </button>
            </div>
          </>
        ) : (
          <p className="quiet">Add effects first; then they can be kept here under a name.</p>
        )}
        <Failure text={failure} />
      </form>
      {presets.length > 0 && (
        <ul className="list">
          {presets.map((preset) => (
            <li key={preset.id} className="row-card line">
              <span>
                {preset.name} <span className="quiet">{preset.effects.map(({ kind }) => kind).join(", ")}</span>
              </span>
              <button
                type="button"
                className="plain danger"
                disabled={busy}
                aria-label={`Delete the preset ${preset.name}`}
                onClick={() => void run(() => api.deleteEffectPreset(preset.id).then(onChanged))}
              >
                Delete
              </button>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
