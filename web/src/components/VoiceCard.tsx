import { memo } from "react";
import { Api } from "../api/api";
import { explain } from "../api/errors";
import type { VoiceInfo } from "../connection/messages";
import { PreviewButton } from "../features/voices/PreviewButton";
import { VoiceMenu } from "../features/voices/VoiceMenu";
import { controller } from "../state/controller";
import { notify, useLive } from "../state/live";
import { useWhyNot } from "../state/role";
import { Icon } from "./Icon";

async function favour(voice: VoiceInfo): Promise<void> {
  const favourite = !voice.favourite;
  const show = (shown: boolean) =>
    useLive.setState(({ voices }) => ({
      voices: voices?.map((one) => (one.id === voice.id ? { ...one, favourite: shown } : one)) ?? null,
    }));
  show(favourite);
  try {
    await new Api(controller.token).setFavourite(voice.id, favourite);
  } catch (error) {
    show(!favourite);
    notify(explain(error));
  }
}

export const VoiceCard = memo(function VoiceCard({ voice, chosen }: { voice: VoiceInfo; chosen: boolean }) {
  const mayNotUse = useWhyNot("use");
  const mayNotManage = useWhyNot("manage");
  return (
    <div className="card">
      <PreviewButton voice={voice} />
      <label title={mayNotUse || undefined}>
        <input
          type="radio"
          name="voice"
          value={voice.id}
          checked={chosen}
          disabled={mayNotUse !== ""}
          onChange={() => controller.selectVoice(voice.id)}
        />
        <span className="text">
          <b>{voice.name}</b>
          <span>{voice.description}</span>
        </span>
      </label>
      {voice.favourite !== undefined && (
        <button
          type="button"
          className="star"
          disabled={mayNotManage !== ""}
          title={mayNotManage || undefined}
          aria-pressed={voice.favourite}
          aria-label={`${voice.name} is a favourite`}
          onClick={() => void favour(voice)}
        >
          <Icon name="star" />
        </button>
      )}
      {!mayNotManage && <VoiceMenu voice={voice} />}
    </div>
  );
});
