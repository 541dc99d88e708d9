import { useState } from "react";
import type { Api } from "../../api/api";
import { explain } from "../../api/errors";
import type { Voice } from "../../wire/rest";
import { Dialog, Failure } from "../Dialog";
import { useHost } from "../host";
import { type Link, stagesWith } from "./chain";

type Made = { name: string; description: string; parameters: Record<string, number>; chain: readonly Link[] };

/** A copy of a voice with effects and settings built in. A copy, because it takes a model's files along. */
export async function saveVoice(api: Api, voice: string, made: Made): Promise<Voice> {
  const { name, description, parameters, chain } = made;
  const copy = await api.duplicateVoice(voice, name);
  try {
    const stages = stagesWith(copy, chain);
    return await api.changeVoice(copy.id, { category: "custom", description, stages, parameters }, copy.version);
  } catch (error) {
    await api.deleteVoice(copy.id).catch(() => undefined); // half a voice helps nobody
    throw error;
  }
}

type SaveVoiceProps = { chain: readonly Link[]; onClose: () => void; onSaved: () => void };

export function SaveVoice({ chain, onClose, onSaved }: SaveVoiceProps) {
  const { api, voice, voices, parameters, selectVoice, refreshVoices } = useHost();
  const base = voices.find(({ id }) => id === voice);
  const [name, setName] = useState(base ? `My ${base.name}` : "My voice");
  const [description, setDescription] = useState("");
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState("");

  async function save(): Promise<void> {
    setBusy(true);
    setFailure("");
    try {
      const saved = await saveVoice(api, voice, {
        name: name.trim(),
        description: description.trim(),
        parameters,
        chain,
      });
      refreshVoices();
      onSaved();
      selectVoice(saved.id);
      onClose();
    } catch (error) {
      setFailure(explain(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Dialog title="Save as my voice" onClose={onClose}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <p className="quiet">
          {base?.name ?? "The voice"} with your pitch, formant, mix
          {chain.length ? ` and ${chain.length === 1 ? "its effect" : `${chain.length} effects`}` : ""}.
        </p>
        <label className="field">
          Name
          <input required maxLength={80} value={name} onChange={({ target }) => setName(target.value)} />
        </label>
        <label className="field">
          Description
          <input maxLength={500} value={description} onChange={({ target }) => setDescription(target.value)} />
        </label>
        <Failure text={failure} />
        <div className="actions">
          <button type="submit" className="primary" disabled={busy || !name.trim() || !base}>
            {busy ? "Saving…" : "Save"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
