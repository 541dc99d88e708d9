import { useState } from "react";
import { explain } from "../../api/errors";
import type { VoiceInfo } from "../../wire/control";
import { Dialog, Failure } from "../Dialog";
import { useHost } from "../host";

type EditVoiceProps = { voice: VoiceInfo; remove: boolean; onClose: () => void };

/** Another name and description for a voice of one's own, or its end. */
export function EditVoice({ voice, remove, onClose }: EditVoiceProps) {
  const { api, refreshVoices } = useHost();
  const [name, setName] = useState(voice.name);
  const [description, setDescription] = useState(voice.description);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState("");

  async function run(): Promise<void> {
    setBusy(true);
    setFailure("");
    try {
      if (remove) await api.deleteVoice(voice.id);
      else await api.changeVoice(voice.id, { name: name.trim(), description: description.trim() });
      refreshVoices();
      onClose();
    } catch (error) {
      setFailure(explain(error));
      setBusy(false);
    }
  }

  return (
    <Dialog title={remove ? `Delete ${voice.name}?` : `Edit ${voice.name}`} onClose={onClose}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        {remove ? (
          <p>The voice and its model are deleted for good. Export it first if you may want it back.</p>
        ) : (
          <>
            <label className="field">
              Name
              <input required maxLength={80} value={name} onChange={({ target }) => setName(target.value)} />
            </label>
            <label className="field">
              Description
              <input maxLength={500} value={description} onChange={({ target }) => setDescription(target.value)} />
            </label>
          </>
        )}
        <Failure text={failure} />
        <div className="actions">
          <button type="submit" className={remove ? "plain danger" : "primary"} disabled={busy || !name.trim()}>
            {remove ? "Delete for good" : "Save"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
