import { memo } from "react";
import { Api } from "../api/api";
import { explain } from "../api/errors";
import type { VoiceInfo } from "../connection/messages";
import { PreviewButton } from "../features/voices/PreviewButton";
import { VoiceMenu } from "../features/voices/VoiceMenu";
import { controller } from "../state/controller";
import { notify, useLive } from "../state/live";
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
  return (
    <div className="card">
      <PreviewButton voice={voice} />
      <label>
        <input
          type="radio"
          name="voice"
          value={voice.id}
          checked={chosen}
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
          aria-pressed={voice.favourite}
          aria-label={`${voice.name} is a favourite`}
          onClick={() => void favour(voice)}
        >
          <Icon name="star" />
        </button>
      )}
      <VoiceMenu voice={voice} />
    </div>
  );
});
