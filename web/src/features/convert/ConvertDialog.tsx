import { useEffect, useRef, useState } from "react";
import type { Api } from "../../api/api";
import { ApiError, explain } from "../../api/errors";
import { ownParameters } from "../../state/voice-choice";
import type { Conversion } from "../../wire/rest";
import { Dialog, Failure, Progress } from "../Dialog";
import { useHost } from "../host";
import { Download } from "../rows";
import { size } from "../write";

const LOOK_MS = 120;

const rest = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

/** Wait for a conversion's end. One that is cancelled is taken away. */
export async function finished(
  api: Api,
  begun: Conversion,
  tell: (state: Conversion) => void,
  signal: AbortSignal,
): Promise<Conversion> {
  let now = begun;
  try {
    while (now.state === "queued" || now.state === "running") {
      tell(now);
      await rest(LOOK_MS, signal);
      now = await api.conversion(begun.id, signal);
    }
  } catch (error) {
    if (signal.aborted) await api.deleteConversion(begun.id).catch(() => undefined);
    throw error;
  }
  if (now.state === "failed") {
    throw new ApiError(now.error ?? "The file could not be converted", "failed", 0);
  }
  return now;
}

type ConvertDialogProps = { file: File | null; onClose: () => void };

/** A file in another voice. */
export function ConvertDialog({ file: given, onClose }: ConvertDialogProps) {
  const { api, voice: chosen, voices, parameters } = useHost();
  const [file, setFile] = useState(given);
  const [voice, setVoice] = useState(chosen || (voices[0]?.id ?? ""));
  const [told, setTold] = useState<{ label: string; share?: number } | null>(null);
  const [done, setDone] = useState<Conversion | null>(null);
  const [failure, setFailure] = useState("");
  const turned = voice === chosen ? parameters : ownParameters(voices.find(({ id }) => id === voice));
  const cancel = useRef(new AbortController());
  const kept = useRef("");

  useEffect(() => {
    return () => {
      cancel.current.abort();
      if (kept.current) void api.deleteConversion(kept.current).catch(() => undefined);
    };
  }, [api]);

  async function run(source: File): Promise<void> {
    setFailure("");
    setDone(null);
    cancel.current = new AbortController();
    const { signal } = cancel.current;
    try {
      const progress = (share: number) => setTold({ label: "Sending", share });
      const begun = await api.convert(source, voice, { ...turned }, { progress, signal });
      const end = await finished(
        api,
        begun,
        ({ state, progress: share }) =>
          setTold(state === "queued" ? { label: "Waiting for its turn" } : { label: "Converting", share }),
        signal,
      );
      if (kept.current) void api.deleteConversion(kept.current).catch(() => undefined);
      kept.current = end.id;
      setDone(end);
    } catch (error) {
      setFailure(explain(error));
    } finally {
      setTold(null);
    }
  }

  const nameOf = (wanted: string) => voices.find(({ id }) => id === wanted)?.name ?? "another voice";
  return (
    <Dialog title="Convert a file" onClose={onClose} busy={told !== null}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (file) void run(file);
        }}
      >
        <label className="drop">
          <input
            type="file"
            accept="audio/*,video/mp4,video/webm"
            disabled={told !== null}
            onChange={({ target }) => {
              setFile(target.files?.[0] ?? file);
              setFailure("");
            }}
          />
          {file ? (
            <>
              <strong>{file.name}</strong>
              <span className="quiet">{size(file.size)}; choose another</span>
            </>
          ) : (
            <>
              <strong>Choose an audio file</strong>
              <span className="quiet">WAV, FLAC, MP3, M4A, OGG and what else holds sound</span>
            </>
          )}
        </label>
        <label className="field">
          Voice
          <select value={voice} disabled={told !== null} onChange={({ target }) => setVoice(target.value)}>
            {voices.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </select>
        </label>
        <p className="quiet">
          {voice === chosen
            ? "With pitch, formant and mix as they are set now."
            : "With pitch, formant and mix as the voice has them."}
        </p>
        {told && <Progress {...told} />}
        <Failure text={failure} />
        {done && (
          <div className="result" role="status">
            <p>
              Done: {done.filename || "the file"} in the voice of {nameOf(done.voice)}.
            </p>
            <audio controls preload="metadata" src={api.mediaUrl(api.conversionPath(done.id))} />
          </div>
        )}
        <div className="actions">
          {told && (
            <button type="button" className="plain" onClick={() => cancel.current.abort()}>
              Cancel
            </button>
          )}
          {done && <Download path={api.conversionPath(done.id)} fallback="converted.wav" onFailure={setFailure} />}
          <button type="submit" className="primary" disabled={!file || !voice || told !== null}>
            Convert
          </button>
        </div>
      </form>
    </Dialog>
  );
}
