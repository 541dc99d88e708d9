import { memo, useMemo } from "react";
import { Api } from "../api/api";
import { explain } from "../api/errors";
import type { VoiceInfo } from "../connection/messages";
import { VoiceMenu } from "../features/voices/VoiceMenu";
import { controller } from "../state/controller";
import { notify, useLive } from "../state/live";
import { bars } from "./glyph";

async function favour(voice: VoiceInfo): Promise<void> {
  const favourite = !voice.favourite;
  try {
    await new Api(controller.token).setFavourite(voice.id, favourite);
    useLive.setState(({ voices }) => ({
      voices: voices?.map((one) => (one.id === voice.id ? { ...one, favourite } : one)) ?? null,
    }));
  } catch (error) {
    notify(explain(error));
  }
}

export const VoiceCard = memo(function VoiceCard({ voice, chosen }: { voice: VoiceInfo; chosen: boolean }) {
  const picture = useMemo(() => bars(voice.id), [voice.id]);
  return (
    <div className="card">
      <label>
        <input
          type="radio"
          name="voice"
          value={voice.id}
          checked={chosen}
          onChange={() => controller.selectVoice(voice.id)}
        />
        <svg viewBox="0 0 40 28" aria-hidden="true">
          {picture.map(({ x, y, height }) => (
            <rect key={x} x={x} y={y} width={3} height={height} rx={1.5} />
          ))}
        </svg>
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
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="M12 3l2.7 5.7 6.3.8-4.600 4.300 1.200 6.200L12 17l-5.600 3 1.200-6.200L3 9.500l6.300-.8z" />
          </svg>
        </button>
      )}
      <VoiceMenu voice={voice} />
    </div>
  );
});
