import { useState } from "react";
import type { Api } from "../../api/api";
import type { Voice } from "../../wire/rest";
import { Dialog } from "../Dialog";
import { useHost } from "../host";
import { JobForm } from "../JobForm";
import { NameFields, type Naming, trimmed } from "../NameFields";
import { type Link, stagesWith } from "./chain";

type Made = Naming & { parameters: Record<string, number>; chain: readonly Link[] };

/** A copy of a voice with effects and settings built in. A copy, because it takes a model's files along. */
export async function saveVoice(api: Api, voice: string, made: Made): Promise<Voice> {
  const { name, description, parameters, chain } = made;
  const copy = await api.duplicateVoice(voice, name);
  try {
    const stages = stagesWith(copy, chain);
    return await api.changeVoice(copy.id, { description, stages, parameters }, copy.version);
  } catch (error) {
    await api.deleteVoice(copy.id).catch(() => undefined); // half a voice helps nobody
    throw error;
  }
}

type SaveVoiceProps = { chain: readonly Link[]; onClose: () => void; onSaved: () => void };

export function SaveVoice({ chain, onClose, onSaved }: SaveVoiceProps) {
  const { api, voice, voices, parameters, selectVoice, refreshVoices } = useHost();
  const base = voices.find(({ id }) => id === voice);
  const [naming, setNaming] = useState<Naming>({ name: base ? `My ${base.name}` : "My voice", description: "" });

  async function save(): Promise<void> {
    const saved = await saveVoice(api, voice, { ...trimmed(naming), parameters: { ...parameters }, chain });
    await refreshVoices(); // with its own parameters, which the sliders then take
    onSaved();
    selectVoice(saved.id);
    onClose();
  }

  return (
    <Dialog title="Save as my voice" onClose={onClose}>
      <JobForm work={save} submit="Save" working="Saving…" ready={naming.name.trim() !== "" && base !== undefined}>
        <p className="quiet">
          {base?.name ?? "The voice"} with your pitch, formant, mix
          {chain.length ? ` and ${chain.length === 1 ? "its effect" : `${chain.length} effects`}` : ""}. It becomes the
          chosen voice.
        </p>
        <NameFields naming={naming} onChange={setNaming} />
      </JobForm>
    </Dialog>
  );
}
