import type { VoiceInfo } from "../../wire/control";
import { Dialog } from "../Dialog";
import { useHost } from "../host";
import { JobForm } from "../JobForm";

/** The end of a voice of one's own. */
export function DeleteVoice({ voice, onClose }: { voice: VoiceInfo; onClose: () => void }) {
  const { api, refreshVoices } = useHost();

  async function remove(): Promise<void> {
    await api.deleteVoice(voice.id);
    await refreshVoices();
    onClose();
  }

  return (
    <Dialog title={`Delete ${voice.name}?`} onClose={onClose}>
      <JobForm
        work={remove}
        submit="Delete for good"
        danger
        beside={
          <button type="button" className="plain" onClick={onClose}>
            Keep it
          </button>
        }
      >
        <p>The voice and its model are deleted for good. Export it first if you may want it back.</p>
      </JobForm>
    </Dialog>
  );
}
