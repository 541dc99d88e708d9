import type { VoiceInfo } from "../../wire/control";
import { Dialog, Failure } from "../Dialog";
import { useHost } from "../host";
import { useJob } from "../useJob";

/** The end of a voice of one's own. */
export function DeleteVoice({ voice, onClose }: { voice: VoiceInfo; onClose: () => void }) {
  const { api, refreshVoices } = useHost();
  const { busy, failure, run } = useJob();

  async function remove(): Promise<void> {
    await api.deleteVoice(voice.id);
    await refreshVoices();
    onClose();
  }

  return (
    <Dialog title={`Delete ${voice.name}?`} onClose={onClose}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void run(remove);
        }}
      >
        <p>The voice and its model are deleted for good. Export it first if you may want it back.</p>
        <Failure text={failure} />
        <div className="actions">
          <button type="button" className="plain" onClick={onClose}>
            Keep it
          </button>
          <button type="submit" className="plain danger" disabled={busy}>
            Delete for good
          </button>
        </div>
      </form>
    </Dialog>
  );
}
