import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Api } from "../api/api";
import { ApiError } from "../api/errors";
import { Dialog } from "./Dialog";
import { Presets } from "./effects/Presets";
import { type Host, HostContext } from "./host";
import { ImportDialog } from "./importing/ImportDialog";
import { Mixer } from "./mixing/Mixer";
import { RecordingsDialog } from "./recordings/RecordingsDialog";
import { Everybody } from "./settings/Everybody";
import { Tokens } from "./settings/Tokens";
import { DeleteVoice } from "./voices/DeleteVoice";
import { EditVoice } from "./voices/EditVoice";

afterEach(() => {
  cleanup();
  document.body.replaceChildren();
});

const nothing = () => undefined;

/** A feature with what it uses of the page. */
function shown(feature: ReactNode, api: Partial<Record<keyof Api, unknown>>, more: Partial<Host> = {}) {
  const host = { api: api as unknown as Api, voices: [], refreshVoices: async () => undefined, ...more } as Host;
  render(<HostContext value={host}>{feature}</HostContext>);
}

const field = (name: string | RegExp, selector = "*") => screen.getByLabelText<HTMLInputElement>(name, { selector });
const press = (name: string) => fireEvent.click(screen.getByRole("button", { name }));

describe("a dialog", () => {
  it("takes the focus to its heading, or to what wants it first, and gives it back", () => {
    document.body.innerHTML = "<button>opens</button>";
    const opener = document.querySelector("button") as HTMLElement;
    opener.focus();
    const { unmount } = render(
      <Dialog title="Plain" onClose={nothing}>
        <p>text</p>
      </Dialog>,
    );
    expect(document.activeElement?.textContent).toBe("Plain");
    unmount();
    expect(document.activeElement).toBe(opener);
    render(
      <Dialog title="Form" onClose={nothing}>
        <input data-first="" />
      </Dialog>,
    );
    expect(document.activeElement?.tagName).toBe("INPUT");
  });

  it("has the focus at its heading when what had it is gone", () => {
    const dialog = (children: ReactNode) => (
      <Dialog title="List" onClose={nothing}>
        {children}
      </Dialog>
    );
    const { rerender } = render(dialog(<button type="button">Delete</button>));
    screen.getByRole("button", { name: "Delete" }).focus();
    rerender(dialog(<p>nothing left</p>));
    expect(document.activeElement?.textContent).toBe("List");
  });
});

describe("presets of effects", () => {
  const chain = [{ key: 1, kind: "reverb", params: { wet: 0.3 }, enabled: true }];
  const spec = [{ kind: "reverb", params: { wet: 0.3 }, enabled: true }];
  const hall = { id: "p1", name: "Hall", effects: spec, created_at: "" };

  const catalogue = [{ kind: "reverb", name: "Reverb", description: "", params: [] }];
  const presets = { catalogue, presets: [hall], from: "", onKept: nothing, onClose: nothing, onChanged: async () => {} };

  it("are kept under a name, in the place of the one that had it, by one request", async () => {
    const keepEffects = vi.fn(async () => hall);
    const onChanged = vi.fn(async () => undefined);
    const onKept = vi.fn();
    const onClose = vi.fn();
    shown(<Presets chain={chain} {...presets} {...{ onKept, onChanged, onClose }} />, { keepEffects });
    fireEvent.change(field(/Name of this/), { target: { value: " Hall " } });
    press("Replace");
    await waitFor(() => expect(onClose).toHaveBeenCalled());
    expect(keepEffects).toHaveBeenCalledExactlyOnceWith("Hall", spec, true);
    expect(onKept).toHaveBeenCalledWith("Hall");
    expect(onChanged).toHaveBeenCalled();
  });

  it("are kept under the name they were chosen by, unless another is typed", () => {
    shown(<Presets chain={chain} {...presets} from="Hall" />, {});
    expect(field(/Name of this/).value).toBe("Hall");
    expect(screen.getByText(/takes the place/)).toBeTruthy();
    fireEvent.change(field(/Name of this/), { target: { value: "Room" } });
    expect(screen.queryByText(/takes the place/)).toBeNull();
  });

  it("say why they cannot be kept, and what there is by now", async () => {
    const keepEffects = vi.fn(() => Promise.reject(new ApiError("There is one", "conflict", 409)));
    const onChanged = vi.fn(async () => undefined);
    shown(<Presets chain={chain} {...presets} presets={[]} onChanged={onChanged} />, { keepEffects });
    fireEvent.change(field(/Name of this/), { target: { value: "Hall" } });
    press("Keep");
    expect((await screen.findByRole("alert")).textContent).toBe("There is one");
    expect(keepEffects).toHaveBeenCalledWith("Hall", spec, false);
    expect(onChanged).toHaveBeenCalled();
  });

  it("get another name where they stand, and go when that is meant", async () => {
    const renameEffectPreset = vi.fn(async () => hall);
    const deleteEffectPreset = vi.fn(async () => undefined);
    const onChanged = vi.fn(async () => undefined);
    shown(<Presets chain={[]} {...presets} onChanged={onChanged} />, { renameEffectPreset, deleteEffectPreset });
    expect(screen.getByText("Reverb")).toBeTruthy();
    const name = field("Name of Hall");
    fireEvent.change(name, { target: { value: "Dome" } });
    fireEvent.keyDown(name, { key: "Escape" });
    fireEvent.blur(name);
    expect([name.value, renameEffectPreset.mock.calls]).toEqual(["Hall", []]);
    fireEvent.change(name, { target: { value: "Dome" } });
    fireEvent.blur(name);
    await waitFor(() => expect(onChanged).toHaveBeenCalledOnce());
    expect(renameEffectPreset).toHaveBeenCalledWith("p1", "Dome");
    press("Delete Hall");
    expect(deleteEffectPreset).not.toHaveBeenCalled();
    press("Delete for good: Hall");
    await waitFor(() => expect(onChanged).toHaveBeenCalledTimes(2));
    expect(deleteEffectPreset).toHaveBeenCalledWith("p1");
  });
});

describe("recordings", () => {
  const recording = { state: "done", sides: [], voice_name: "Robot", rate: 48_000, duration_ms: 1000, size: 9 };
  const named = (name: string) => ({ ...recording, id: name, name, created_at: "2026-11-21T12:00:00Z", ended_at: null });

  it("are found by name where there are many", async () => {
    const recordings = Array.from({ length: 20 }, (_, n) => named(`Take ${n}`));
    const api = { recordings: async () => ({ recordings }) };
    shown(<RecordingsDialog onClose={nothing} />, api, { listen: () => nothing });
    const search = await screen.findByLabelText("Search recordings");
    expect(screen.getAllByLabelText(/^Name of/)).toHaveLength(20);
    fireEvent.change(search, { target: { value: "robot 17" } });
    expect(screen.getAllByLabelText(/^Name of/)).toHaveLength(1);
    expect(screen.getByText("1 of 20")).toBeTruthy();
  });
});

describe("files to import", () => {
  it("are left out again, are there once, and those that are no voices are named", () => {
    const file = (name: string) => new File(["x"], name);
    const given = [file("a.pth"), file("a.index"), file("song.wav")];
    shown(<ImportDialog files={given} onClose={nothing} />, { baseModels: async () => ({ models: [] }) });
    expect(screen.getByText(/Not used: song.wav/)).toBeTruthy();
    fireEvent.change(field(/Choose files/), { target: { files: [file("a.pth"), file("b.menura")] } });
    expect(screen.getAllByRole("button", { name: /^Leave/ })).toHaveLength(2);
    press("Leave a.pth out");
    press("Leave b.menura out");
    expect(screen.queryAllByRole("button", { name: /^Leave/ })).toHaveLength(0);
    expect(screen.getByRole<HTMLButtonElement>("button", { name: "Import" }).disabled).toBe(true);
  });
});

describe("the settings for everybody", () => {
  const settings = {
    voice: null,
    theme: "system",
    status_interval_ms: 200,
    sample_rate: 48_000,
    noise_suppression: false,
    auto_gain: false,
    echo_cancellation: false,
    recordings_max_bytes: 2e9,
    recordings_max_s: 7200,
    page: {},
  };

  it("are changed one by one", async () => {
    const changeSettings = vi.fn(async (changes: object) => ({ ...settings, ...changes }));
    shown(<Everybody />, { settings: async () => settings, changeSettings });
    const save = await screen.findByRole<HTMLButtonElement>("button", { name: "Save for everybody" });
    expect(save.disabled).toBe(true);
    fireEvent.change(field("Theme"), { target: { value: "dark" } });
    fireEvent.change(field(/One recording/), { target: { value: "0.5" } });
    fireEvent.click(save);
    await waitFor(() => expect(changeSettings).toHaveBeenCalledWith({ theme: "dark", recordings_max_s: 1800 }));
    await waitFor(() => expect(save.disabled).toBe(true));
  });
});

describe("the second voice", () => {
  const voices = ["robot", "giant", "radio"].map((id) => ({ id, name: id, category: "character", description: "" }));

  it("is there again, balanced as it was, when the page is opened again", async () => {
    const wantMix = vi.fn(async () => undefined);
    const host = { voices, voice: "robot", connected: true, wantMix };
    shown(<Mixer />, {}, host);
    expect(wantMix).not.toHaveBeenCalled();
    fireEvent.change(field("Second voice", "select"), { target: { value: "giant" } });
    fireEvent.change(field(/Balance/), { target: { value: "0" } });
    cleanup();
    wantMix.mockClear();
    shown(<Mixer />, {}, host);
    expect(field("Second voice", "select").value).toBe("giant");
    const parts = [
      { voiceId: "robot", gain: 1 },
      { voiceId: "giant", gain: 0 },
    ];
    await waitFor(() => expect(wantMix).toHaveBeenCalledWith(parts));
    localStorage.setItem("menura.mix", '{"second":7,"balance":"x"}');
    cleanup();
    shown(<Mixer />, {}, host);
    expect(field("Second voice", "select").value).toBe("");
  });
});

describe("tokens", () => {
  it("keep what was typed where they cannot be made, and are shown once where they are", async () => {
    const addToken = vi
      .fn()
      .mockRejectedValueOnce(new ApiError("Ann has one", "conflict", 409))
      .mockResolvedValueOnce({ token: "menura_secret" });
    shown(<Tokens />, { tokens: async () => ({ tokens: [] }), addToken });
    const name = await screen.findByLabelText<HTMLInputElement>("For whom");
    fireEvent.change(name, { target: { value: "Ann" } });
    press("Add");
    expect((await screen.findByRole("alert")).textContent).toBe("Ann has one");
    expect(name.value).toBe("Ann");
    fireEvent.change(name, { target: { value: "Ann 2" } });
    press("Add");
    expect(await screen.findByText("menura_secret")).toBeTruthy();
    await waitFor(() => expect(name.value).toBe(""));
    expect(addToken).toHaveBeenLastCalledWith("Ann 2", "use", undefined);
  });
});

describe("a voice of one's own", () => {
  const voice = { id: "v", name: "Old", category: "custom", description: "as it was" };

  const saves = async () => {
    await waitFor(() => expect(screen.getByRole<HTMLButtonElement>("button", { name: "Save" }).disabled).toBe(false));
    press("Save");
  };

  it("gets another name, and keeps its description", async () => {
    const changeVoice = vi.fn(async () => undefined);
    const closed = vi.fn();
    const whole = { ...voice, version: 3, stages: [{ kind: "gain", params: {} }] };
    shown(<EditVoice voice={voice} onClose={closed} />, { changeVoice, voice: async () => whole });
    fireEvent.change(field("Name"), { target: { value: "New " } });
    await saves();
    await waitFor(() => expect(closed).toHaveBeenCalled());
    expect(changeVoice).toHaveBeenCalledWith("v", { name: "New", description: "as it was" }, 3);
  });

  it("that is an RVC model is set up, and heard so at once where it is chosen", async () => {
    const option = { what: "", unit: "", min: 0, max: 0.5, choices: [], live: true };
    const options = [
      { ...option, name: "protect", type: "number", default: 0.33 },
      { ...option, name: "pitch", type: "choice", default: "rmvpe", choices: ["rmvpe", "swift"], live: false },
    ];
    const stages = [{ kind: "rvc", params: { model: "@model", protect: 0.2 } }];
    const changeVoice = vi.fn(async () => undefined);
    const request = vi.fn(async () => ({ type: "voicesChanged" }) as const);
    const api = {
      changeVoice,
      voice: async () => ({ ...voice, version: 1, stages }),
      rvcOptions: async () => ({ options }),
    };
    shown(<EditVoice voice={voice} onClose={nothing} />, api, { voice: "v", request });
    const protect = await screen.findByLabelText<HTMLInputElement>("Protect");
    expect(protect.value).toBe("0.2");
    fireEvent.change(protect, { target: { value: "0.5" } });
    fireEvent.change(field("Pitch"), { target: { value: "swift" } });
    await saves();
    await waitFor(() => expect(changeVoice).toHaveBeenCalled());
    await waitFor(() => expect(request).toHaveBeenCalledWith({ action: "selectVoice", voiceId: "v" }));
    const params = { model: "@model", protect: 0.5, pitch: "swift" };
    expect(changeVoice).toHaveBeenCalledWith(
      "v",
      { name: "Old", description: "as it was", stages: [{ kind: "rvc", params }] },
      1,
    );
  });

  it("stays when it cannot be deleted, with the reason", async () => {
    const deleteVoice = () => Promise.reject(new ApiError("It is in use", "conflict", 409));
    const closed = vi.fn();
    shown(<DeleteVoice voice={voice} onClose={closed} />, { deleteVoice });
    press("Delete for good");
    expect((await screen.findByRole("alert")).textContent).toBe("It is in use");
    expect(closed).not.toHaveBeenCalled();
  });
});
