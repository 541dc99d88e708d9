import { describe, expect, it, vi } from "vitest";
import type { Api } from "../api/api";
import { ApiError } from "../api/errors";
import type { Conversion, Voice } from "../wire/rest";
import { finished } from "./convert/ConvertDialog";
import { saveVoice } from "./effects/SaveVoice";
import { importModel, refusal } from "./importing/ImportDialog";
import { sorted, suggestion } from "./importing/sort";
import { balanced } from "./mixing/Mixer";

const file = (name: string, type = "") => new File(["x"], name, { type });
const names = (files: File[]) => files.map(({ name }) => name);
const made = (methods: Partial<Record<keyof Api, unknown>>) => methods as unknown as Api;
const refused = new ApiError("Model loading failed", "model_unsafe", 422, "it would run os.system");

describe("dropped files", () => {
  it("are sorted, an index with its model", () => {
    const files = ["b.pth", "a.pth", "added_IVF1_a_v2.index", "voice.menura", "song.MP3", "notes.txt"].map((name) =>
      file(name),
    );
    const found = sorted([...files, file("speech", "audio/wav")]);
    expect(found.models.map(({ model, index }) => [model.name, index?.name])).toEqual([
      ["b.pth", undefined],
      ["a.pth", "added_IVF1_a_v2.index"],
    ]);
    expect(names(found.bundles)).toEqual(["voice.menura"]);
    expect(names(found.audio)).toEqual(["song.MP3", "speech"]);
    expect(names(found.other)).toEqual(["notes.txt"]);
  });

  it("give the only index to the only model, and leave an index that fits none", () => {
    expect(sorted([file("x.pth"), file("trained.index")]).models[0]?.index?.name).toBe("trained.index");
    expect(names(sorted([file("x.pth"), file("y.pth"), file("z.index")]).other)).toEqual(["z.index"]);
  });

  it("suggest a name that a person would give", () => {
    expect(suggestion(file("Grace_Hopper_e300_s12000.pth"))).toBe("Grace Hopper");
    expect(suggestion(file("v2.pth"))).toBe("v2");
  });
});

describe("importModel", () => {
  it("sends model and index, then makes the voice", async () => {
    const api = made({
      uploadModel: vi.fn(async ({ name }: File) => ({ id: `id-${name}` })),
      voiceOfModel: vi.fn(async () => ({ id: "voice" })),
    });
    const files = { model: file("a.pth"), index: file("a.index") };
    await importModel(api, { name: "A", files }, () => undefined, new AbortController().signal);
    expect(api.voiceOfModel).toHaveBeenCalledWith("id-a.pth", { name: "A", index: "id-a.index" });
  });

  it("takes away what was sent when the rest is refused", async () => {
    const deleteModel = vi.fn(async () => undefined);
    const uploadModel = vi.fn().mockResolvedValueOnce({ id: "first" }).mockRejectedValueOnce(refused);
    const files = { model: file("a.pth"), index: file("a.index") };
    const going = importModel(
      made({ uploadModel, deleteModel }),
      { name: "A", files },
      () => undefined,
      new AbortController().signal,
    );
    await expect(going).rejects.toBe(refused);
    expect(deleteModel).toHaveBeenCalledWith("first");
  });
});

describe("saveVoice", () => {
  const copy = { id: "copy", version: 1, stages: [{ kind: "rvc", params: { model: "@model" } }] } as unknown as Voice;
  const link = { key: 1, kind: "reverb", params: { wet: 0.3 }, enabled: true };
  const wanted = { name: "Mine", description: "", parameters: { pitch_st: 2 }, chain: [link] };

  it("builds the effects into a copy", async () => {
    const changeVoice = vi.fn(async () => copy);
    await saveVoice(made({ duplicateVoice: async () => copy, changeVoice }), "base", wanted);
    const stages = [...copy.stages, { kind: "reverb", params: { wet: 0.3 } }];
    const change = { description: "", parameters: { pitch_st: 2 }, stages };
    expect(changeVoice).toHaveBeenCalledWith("copy", change, 1);
  });

  it("leaves no half a voice", async () => {
    const deleteVoice = vi.fn(async () => undefined);
    const changeVoice = () => Promise.reject(refused);
    const going = saveVoice(made({ duplicateVoice: async () => copy, changeVoice, deleteVoice }), "base", wanted);
    await expect(going).rejects.toBe(refused);
    expect(deleteVoice).toHaveBeenCalledWith("copy");
  });
});

describe("a conversion", () => {
  const about = { id: "c", voice: "robot", filename: "me.flac", error: null };
  const at = (state: Conversion["state"], progress: number): Conversion => ({ ...about, state, progress });

  it("is watched to its end", async () => {
    const conversion = vi.fn().mockResolvedValueOnce(at("running", 0.5)).mockResolvedValueOnce(at("done", 1));
    const told: number[] = [];
    const signal = new AbortController().signal;
    const end = await finished(made({ conversion }), at("queued", 0), ({ progress }) => told.push(progress), signal);
    expect([end.state, told]).toEqual(["done", [0, 0.5]]);
  });

  it("that failed says why", async () => {
    const failed = { ...at("failed", 0), error: "no audio in this file" };
    const signal = new AbortController().signal;
    await expect(finished(made({}), failed, () => undefined, signal)).rejects.toThrow("no audio in this file");
  });

  it("that is cancelled is taken away", async () => {
    const deleteConversion = vi.fn(async () => undefined);
    const cancel = new AbortController();
    const conversion = () => Promise.reject(new ApiError("Cancelled", "aborted", 0));
    const going = finished(
      made({ conversion, deleteConversion }),
      at("running", 0),
      () => cancel.abort(),
      cancel.signal,
    );
    await expect(going).rejects.toThrow("Cancelled");
    expect(deleteConversion).toHaveBeenCalledWith("c");
  });
});

describe("the balance of two voices", () => {
  it("keeps the power and ends with one voice alone", () => {
    for (const balance of [0, 0.2, 0.5, 1]) {
      const power = balanced("a", "b", balance).reduce((sum, { gain = 0 }) => sum + gain ** 2, 0);
      expect(power).toBeCloseTo(1, 2);
    }
    expect(balanced("a", "b", 0).map(({ gain }) => gain)).toEqual([1, 0]);
    expect(balanced("a", "b", 9).map(({ gain }) => gain)).toEqual([0, 1]);
  });
});

describe("a refusal", () => {
  it("names its file once, and is empty where the person cancelled", () => {
    const told = (text: string, status = 422) => new ApiError(text, "x", status);
    expect(refusal("a.pth", told("a.pth: it is no model"))).toBe("a.pth was refused. It is no model");
    expect(refusal("a.menura", told("this zip is no voice"))).toBe("a.menura was refused. This zip is no voice");
    expect(refusal("a.pth", told("The network is gone", 0))).toBe("a.pth was not sent. The network is gone");
    expect(refusal("a.pth", new ApiError("Cancelled", "aborted", 0))).toBe("");
  });
});
