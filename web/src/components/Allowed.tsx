import type { ReactNode } from "react";
import { useWhyNot } from "../state/role";
import type { Role } from "../wire/rest";

/** Controls that a role is needed for: without it they cannot be used, and say why. */
export function Allowed({ needed, children }: { needed: Role; children: ReactNode }) {
  const why = useWhyNot(needed);
  return (
    <fieldset className="allowed" disabled={why !== ""} title={why || undefined}>
      {children}
    </fieldset>
  );
}
