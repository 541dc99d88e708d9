import { act, cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeSocket, pretend } from "../testing/server";
import type { Role } from "../wire/rest";
import { whyNot } from "./role";

const VOICE = { id: "robot", name: "Robot", category: "character", description: "", favourite: false, builtin: true };

beforeEach(() => localStorage.clear());

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

/** The page of a token with this role; null for a server that does not tell. */
async function opened(role: Role | null) {
  pretend(null, role);
  vi.resetModules();
  const { controller } = await import("./controller");
  const { useLive } = await import("./live");
  const { App } = await import("../App");
  controller.begin();
  render(<App />);
  const server = FakeSocket.latest;
  await act(async () => {
    server.say({ type: "connected" });
    server.say({ type: "voices", voices: [VOICE] });
    await vi.waitFor(() => expect(useLive.getState().role).toBe(role ?? "manage"));
  });
  return { controller, useLive, server };
}

const button = (name: string) => screen.getByRole<HTMLButtonElement>("button", { name });
const usable = (element: HTMLElement) => !element.matches(":disabled") && !element.closest("fieldset:disabled");

/** What may be used of the page, by its name. */
function open() {
  const named = ["Import", "Convert a file", "Recordings", "Settings", "Start", "Save as my voice…"];
  const all = named.filter((name) => usable(button(name)));
  if (usable(screen.getByRole("slider", { name: "Pitch" }))) all.push("Pitch");
  if (usable(screen.getByRole("radio", { name: /Robot/ }))) all.push("Robot");
  if (usable(button("Robot is a favourite"))) all.push("star");
  if (screen.queryByRole("button", { name: "More for Robot" })) all.push("menu");
  return all;
}

describe("a page whose token is", () => {
  it("to look offers that, and says why not more", async () => {
    const { controller, server, useLive } = await opened("listen");
    expect(open()).toEqual(["Settings"]);
    const why = whyNot("listen", "use");
    expect(button("Convert a file").title).toBe(why);
    expect(within(screen.getByRole("region", { name: "Live voice" })).getByText(why)).toBeTruthy();
    server.sent.length = 0;
    await controller.start(); // by a key
    expect(useLive.getState().notice?.text).toBe(why);
    expect(server.count("start")).toBe(0);
  });

  it("to use voices offers nothing that is for everybody, and says why", async () => {
    await opened("use");
    expect(open()).toEqual(["Convert a file", "Recordings", "Settings", "Start", "Pitch", "Robot"]);
    for (const name of ["Import", "Save as my voice…", "Robot is a favourite"]) {
      expect(button(name).closest("[title]")?.getAttribute("title")).toBe(whyNot("use", "manage"));
    }
  });

  it("the operator's offers all, and so does that of a server that does not tell", async () => {
    const all = [
      "Import", "Convert a file", "Recordings", "Settings", "Start", "Save as my voice…", "Pitch", "Robot", "star", "menu",
    ];
    await opened("manage");
    expect(open()).toEqual(all);
    cleanup();
    await opened(null);
    expect(open()).toEqual(all);
  });
});

it("takes no files for what the token may not do", async () => {
  const { useLive } = await opened("use");
  const drop = new Event("drop", { bubbles: true, cancelable: true });
  const files = [new File(["x"], "voice.pth")];
  Object.assign(drop, { dataTransfer: { types: ["Files"], files } });
  fireEvent(window, drop);
  expect(useLive.getState().notice?.text).toBe(whyNot("use", "manage"));
  expect(screen.queryByRole("dialog")).toBeNull();
});
