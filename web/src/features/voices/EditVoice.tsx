import { useEffect, useState } from "react";
import { explain } from "../../api/errors";
import type { VoiceInfo } from "../../wire/control";
import type { RvcOption, Voice } from "../../wire/rest";
import { Dialog } from "../Dialog";
import { useHost } from "../host";
import { JobForm } from "../JobForm";
import { NameFields, type Naming, trimmed } from "../NameFields";
import { RvcFields, type RvcParams } from "./RvcFields";

type EditVoiceProps = { voice: VoiceInfo; onClose: () => void };

const rvcOf = (voice: Voice | null) => voice?.stages.find(({ kind }) => kind === "rvc");

/** Another name and description for a voice of one's own; of an RVC model all that may be set. */
export function EditVoice({ voice, onClose }: EditVoiceProps) {
  const { api, voice: chosen, request, refreshVoices } = useHost();
  const [naming, setNaming] = useState<Naming>(voice);
  const [whole, setWhole] = useState<Voice | null>(null);
  const [options, setOptions] = useState<readonly RvcOption[]>([]);
  const [params, setParams] = useState<RvcParams>({});
  const [unread, setUnread] = useState("");
  useEffect(() => {
    const load = async () => {
      const found = await api.voice(voice.id);
      if (rvcOf(found)) setOptions((await api.rvcOptions()).options);
      setWhole(found);
    };
    load().catch((error) => setUnread(explain(error)));
  }, [api, voice.id]);

  async function change(): Promise<void> {
    const turned = Object.keys(params).length > 0;
    const stages = whole?.stages.map((stage) =>
      stage.kind === "rvc" ? { ...stage, params: { ...stage.params, ...params } } : stage,
    );
    await api.changeVoice(voice.id, { ...trimmed(naming), ...(turned && stages ? { stages } : {}) }, whole?.version);
    await refreshVoices();
    if (turned && voice.id === chosen) await request({ action: "selectVoice", voiceId: voice.id }); // as it is now
    onClose();
  }

  const rvc = rvcOf(whole);
  return (
    <Dialog title={`Edit ${voice.name}`} onClose={onClose}>
      <JobForm
        work={change}
        submit="Save"
        working="Saving…"
        ready={whole !== null && naming.name.trim() !== ""}
        trouble={unread}
      >
        <NameFields naming={naming} onChange={setNaming} />
        {rvc && options.length > 0 && (
          <RvcFields
            options={options}
            params={{ ...rvc.params, ...params }}
            onChange={(name, value) => setParams({ ...params, [name]: value })}
          />
        )}
      </JobForm>
    </Dialog>
  );
}
