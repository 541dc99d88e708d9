import { useEffect, useRef, useState } from "react";
import type { Api } from "../../api/api";
import { ApiError, explain } from "../../api/errors";
import { Icon } from "../../components/Icon";
import type { Voice } from "../../wire/rest";
import { Dialog, Failure, Progress } from "../Dialog";
import { useHost } from "../host";
import { size } from "../write";
import { type ModelFiles, sorted, suggestion } from "./sort";

type Told = { label: string; share?: number };
type Made = { name: string; files: ModelFiles };

/** Send a model and its index, and make a voice of them; what was sent in vain is taken away again. */
export async function importModel(
  api: Api,
  made: Made,
  tell: (told: Told) => void,
  signal: AbortSignal,
): Promise<Voice> {
  const { model, index } = made.files;
  const sent: string[] = [];
  const send = async (file: File) => {
    const progress = (share: number) =>
      tell(share < 1 ? { label: `Sending ${file.name}`, share } : { label: `Checking ${file.name}` });
    const kept = await api.uploadModel(file, { progress, signal });
    sent.push(kept.id);
    return kept.id;
  };
  try {
    const id = await send(model);
    const also = index ? { index: await send(index) } : {};
    tell({ label: "Making the voice" });
    return await api.voiceOfModel(id, { name: made.name, ...also });
  } catch (error) {
    await Promise.all(sent.map((id) => api.deleteModel(id).catch(() => undefined)));
    throw error;
  }
}

/** Why a file was refused, its name told once, or never came there; empty for what the person cancelled. */
export function refusal(file: string, error: unknown): string {
  const text = explain(error);
  const why = text.startsWith(`${file}: `) ? text.slice(file.length + 2) : text;
  if (!why) return "";
  const came = !(error instanceof ApiError) || error.status > 0;
  return `${file} ${came ? "was refused" : "was not sent"}. ${why.charAt(0).toUpperCase()}${why.slice(1)}`;
}

/** An iPhone, or an iPad, which calls itself a Mac. */
const pocket = () =>
  /iPad|iPhone/.test(navigator.userAgent) || (/Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1);

const KINDS = ".pth,.pt,.safetensors,.onnx,.index,.menura";

type ImportDialogProps = { files: File[]; onClose: () => void };

/** Voices from files: a `.menura`, or a model with its index. */
export function ImportDialog({ files: given, onClose }: ImportDialogProps) {
  const { api, refreshVoices, selectVoice } = useHost();
  const [files, setFiles] = useState(given);
  const [told, setTold] = useState<Told | null>(null);
  const [failure, setFailure] = useState("");
  const [made, setMade] = useState<Voice[]>([]);
  const [names, setNames] = useState<Record<string, string>>({});
  const cancel = useRef(new AbortController());
  const { bundles, models, audio, other } = sorted(files);
  const unused = [...other, ...audio];
  const nameOf = (file: File) => names[file.name] ?? suggestion(file);

  useEffect(() => {
    return () => cancel.current.abort();
  }, []);

  async function run(): Promise<void> {
    setFailure("");
    cancel.current = new AbortController();
    const { signal } = cancel.current;
    let file = "";
    try {
      for (const bundle of bundles) {
        file = bundle.name;
        const progress = (share: number) => setTold({ label: `Sending ${bundle.name}`, share });
        done(await api.importVoice(bundle, { progress, signal }));
        setFiles((before) => before.filter((one) => one !== bundle));
      }
      for (const one of models) {
        file = one.model.name;
        done(await importModel(api, { name: nameOf(one.model).trim(), files: one }, setTold, signal));
        setFiles((before) => before.filter((other) => other !== one.model && other !== one.index));
      }
    } catch (error) {
      setFailure(refusal(file, error));
    } finally {
      setTold(null);
    }
  }

  function done(voice: Voice): void {
    setMade((before) => [...before, voice]);
    refreshVoices();
  }

  const leave = (gone: (File | null)[]) => {
    setFiles((before) => before.filter((one) => !gone.includes(one)));
    setFailure("");
  };
  const ready = bundles.length + models.length > 0;
  return (
    <Dialog title="Import a voice" onClose={onClose} busy={told !== null}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <label className="drop">
          <input
            type="file"
            multiple
            accept={pocket() ? undefined : KINDS} // there what is unknown cannot be chosen
            disabled={told !== null}
            onChange={({ target }) => {
              const more = [...(target.files ?? [])];
              setFiles((before) => [...before.filter(({ name }) => !more.some((one) => one.name === name)), ...more]);
              setFailure("");
              target.value = ""; // so that the same may be chosen again
            }}
          />
          <strong>Choose files</strong> or drop them anywhere
          <span className="quiet">An RVC model (.pth, .safetensors) with its .index, or a voice (.menura)</span>
        </label>
        {bundles.map((file) => (
          <div key={file.name} className="file">
            <Chosen file={file} busy={told !== null} onRemove={() => leave([file])} />
          </div>
        ))}
        {models.map(({ model, index }) => (
          <div key={model.name} className="file">
            <Chosen file={model} busy={told !== null} onRemove={() => leave([model, index])} />
            <p className="quiet">{index ? `with ${index.name}, ${size(index.size)}` : "without an index"}</p>
            <label className="field">
              Name
              <input
                required
                maxLength={80}
                value={nameOf(model)}
                disabled={told !== null}
                onChange={({ target }) => setNames((before) => ({ ...before, [model.name]: target.value }))}
              />
            </label>
          </div>
        ))}
        {unused.length > 0 && (
          <p className="quiet">
            Not used: {unused.map(({ name }) => name).join(", ")}.{other.length > 0 ? " Choose a model with it." : ""}
          </p>
        )}
        {told && <Progress {...told} />}
        <Failure text={failure} />
        {made.map((voice) => (
          <p key={voice.id} className="made" role="status">
            {voice.name} is among your voices.{" "}
            <button
              type="button"
              className="plain"
              onClick={() => {
                selectVoice(voice.id);
                onClose();
              }}
            >
              Use it
            </button>
          </p>
        ))}
        {(models.length > 0 || made.some(({ stages }) => stages.some(({ kind }) => kind === "rvc"))) && <BaseModels />}
        <div className="actions">
          {told && (
            <button type="button" className="plain" onClick={() => cancel.current.abort()}>
              Cancel
            </button>
          )}
          <button type="submit" className="primary" disabled={!ready || told !== null}>
            Import
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** A file that was chosen, and how to do without it. */
function Chosen({ file, busy, onRemove }: { file: File; busy: boolean; onRemove: () => void }) {
  return (
    <div className="chosen">
      <p>
        {file.name} <span className="quiet">{size(file.size)}</span>
      </p>
      <button
        type="button"
        className="plain square"
        disabled={busy}
        aria-label={`Leave ${file.name} out`}
        onClick={onRemove}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}

/** Models of others that every RVC voice needs: where they are missing, the command that gets them. */
function BaseModels() {
  const { api } = useHost();
  const [missing, setMissing] = useState<{ name: string; command: string }[]>([]);
  useEffect(() => {
    api.baseModels().then(
      ({ models }) => setMissing(models.filter(({ present }) => !present)),
      () => setMissing([]),
    );
  }, [api]);
  if (!missing.length) return null;
  return (
    <div className="hint" role="note">
      <p>To speak with it, the server needs {missing.map(({ name }) => name).join(" and ")} once. On its machine run</p>
      {[...new Set(missing.map(({ command }) => command))].map((command) => (
        <code key={command}>{command}</code>
      ))}
    </div>
  );
}
