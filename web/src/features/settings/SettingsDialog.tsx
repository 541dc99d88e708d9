import { useCallback } from "react";
import { useWhyNot } from "../../state/role";
import { Dialog } from "../Dialog";
import { useHost } from "../host";
import { Everybody } from "./Everybody";
import { Here } from "./Here";
import { Sessions } from "./Sessions";
import { Tokens } from "./Tokens";
import { useList } from "./useList";

/** What is set beside the voice itself; who does not manage the server sees nothing of what is for everybody. */
export function SettingsDialog({ onClose, onKeys }: { onClose: () => void; onKeys: () => void }) {
  const forbidden = useWhyNot("manage");
  return (
    <Dialog title="Settings" onClose={onClose} wide>
      <Here onKeys={onKeys} />
      {forbidden ? <p className="quiet">{forbidden}</p> : <Managed />}
    </Dialog>
  );
}

function Managed() {
  const { api } = useHost();
  const sessions = useList(useCallback(async () => (await api.sessions()).sessions, [api]));
  return (
    <>
      {sessions.allowed && sessions.list && <Everybody />}
      <Sessions sessions={sessions} />
      <Tokens />
    </>
  );
}
