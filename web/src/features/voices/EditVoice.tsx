import { useState } from "react";
import type { VoiceInfo } from "../../wire/control";
import { Dialog, Failure } from "../Dialog";
import { useHost } from "../host";
import { NameFields, type Naming, trimmed } from "../NameFields";
import { useJob } from "../useJob";

type EditVoiceProps = { voice: VoiceInfo; remove: boolean; onClose: () => void };

/** Another name and description for a voice of one's own, or its end. */
export function EditVoice({ voice, remove, onClose }: EditVoiceProps) {
  const { api, refreshVoices } = useHost();
  const [naming, setNaming] = useState<Naming>(voice);
  const { busy, failure, run } = useJob();

  async function change(): Promise<void> {
    if (remove) await api.deleteVoice(voice.id);
    else await api.changeVoice(voice.id, trimmed(naming));
    await refreshVoices();
    onClose();
  }

  return (
    <Dialog title={remove ? `Delete ${voice.name}?` : `Edit ${voice.name}`} onClose={onClose}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void run(change);
        }}
      >
        {remove ? (
          <p>The voice and its model are deleted for good. Export it first if you may want it back.</p>
        ) : (
          <NameFields naming={naming} onChange={setNaming} disabled={busy} />
        )}
        <Failure text={failure} />
        <div className="actions">
          <button
            type="submit"
            className={remove ? "plain danger" : "primary"}
            disabled={busy || !naming.name.trim()}
          >
            {remove ? "Delete for good" : "Save"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
