import { useMemo } from "react";
import type { VoiceInfo } from "../../wire/control";
import { useHost } from "../host";
import { bars } from "./glyph";
import { previews, usePreview } from "./preview";

/** A voice's picture, and how it sounds. */
export function PreviewButton({ voice }: { voice: VoiceInfo }) {
  const { api, connected, previewSpeaker, notify } = useHost();
  const state = usePreview(({ preview }) => (preview?.id === voice.id ? preview.state : "idle"));
  const picture = useMemo(() => bars(voice.id), [voice.id]);
  const glyph = (
    <svg className="glyph" viewBox="0 0 40 28" aria-hidden="true">
      {picture.map(({ x, y, height }) => (
        <rect key={x} x={x} y={y} width={3} height={height} rx={1.5} />
      ))}
    </svg>
  );
  if (!voice.preview) {
    return (
      <span className="preview" title={voice.preview === false ? "Models that it needs are not here yet" : undefined}>
        {glyph}
      </span>
    );
  }
  const busy = state !== "idle";
  const said = busy ? `Stop the preview of ${voice.name}` : `Preview ${voice.name}`;
  return (
    <button
      type="button"
      className="preview"
      data-state={state}
      aria-label={said}
      aria-busy={state === "loading"}
      title={said}
      disabled={!connected && !busy}
      onClick={() => {
        if (busy) previews.stop();
        else void previews.play(api, voice.id, previewSpeaker(), notify);
      }}
    >
      {glyph}
      <svg className="badge" viewBox="0 0 16 16" aria-hidden="true">
        {busy ? <rect x="5" y="5" width="6" height="6" rx="1" /> : <path d="M6 4.500v7l5.500-3.500z" />}
      </svg>
    </button>
  );
}
