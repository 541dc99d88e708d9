import { lazy, Suspense, useState } from "react";
import { Icon, type IconName } from "../components/Icon";
import { notify, useLive } from "../state/live";
import { whyNot } from "../state/role";
import type { Role } from "../wire/rest";
import { type DialogName, useDialogs } from "./dialogs";
import { DropZone } from "./importing/DropZone";
import { sorted } from "./importing/sort";

// each is loaded when it is first opened
const ImportDialog = lazy(async () => ({ default: (await import("./importing/ImportDialog")).ImportDialog }));
const ConvertDialog = lazy(async () => ({ default: (await import("./convert/ConvertDialog")).ConvertDialog }));
const RecordingsDialog = lazy(async () => ({
  default: (await import("./recordings/RecordingsDialog")).RecordingsDialog,
}));
const SettingsDialog = lazy(async () => ({ default: (await import("./settings/SettingsDialog")).SettingsDialog }));

const TOOLS: readonly [DialogName & IconName, string, Role][] = [
  ["import", "Import", "manage"],
  ["convert", "Convert a file", "use"],
  ["recordings", "Recordings", "use"],
  ["settings", "Settings", "listen"],
];

/** What is not needed at every moment. */
export function Toolbar() {
  const open = useDialogs((state) => state.open);
  const role = useLive((live) => live.role);
  return (
    <nav className="tools toolbar" aria-label="Tools">
      {TOOLS.map(([what, name, needed]) => (
        <button
          key={what}
          type="button"
          className="tool"
          title={whyNot(role, needed) || name}
          disabled={whyNot(role, needed) !== ""}
          onClick={() => open(what)}
        >
          <Icon name={what} />
          <span>{name}</span>
        </button>
      ))}
    </nav>
  );
}

/** The dialogs, and files dropped on the page. */
export function Features({ onKeys }: { onKeys: () => void }) {
  const { opened, open, close } = useDialogs();
  const [serial, setSerial] = useState(0);
  const take = (files: File[]) => {
    const { audio, models, bundles } = sorted(files);
    const what = audio.length && !models.length && !bundles.length ? "convert" : "import";
    const forbidden = whyNot(useLive.getState().role, what === "convert" ? "use" : "manage");
    if (forbidden) return notify(forbidden);
    setSerial(serial + 1);
    open(what, files);
  };
  const key = `${opened?.what} ${serial}`; // new files begin anew
  return (
    <>
      <DropZone onFiles={take} />
      <Suspense fallback={null}>
        {opened?.what === "import" && <ImportDialog key={key} files={opened.files} onClose={close} />}
        {opened?.what === "convert" && <ConvertDialog key={key} file={opened.files[0] ?? null} onClose={close} />}
        {opened?.what === "recordings" && <RecordingsDialog onClose={close} />}
        {opened?.what === "settings" && <SettingsDialog onClose={close} onKeys={onKeys} />}
      </Suspense>
    </>
  );
}
