// What the token allows.

import type { Role } from "../wire/rest";
import { useLive } from "./live";

const ROLES: readonly Role[] = ["listen", "use", "manage"];

export const isRole = (told: unknown): told is Role => ROLES.includes(told as Role);

/** Why a role may not do what needs another; empty where it may. */
export function whyNot(role: Role, needed: Role): string {
  if (ROLES.indexOf(role) >= ROLES.indexOf(needed)) return "";
  return role === "listen"
    ? "Your token may look, not speak."
    : "Your token may use voices, not change what is there for everybody.";
}

/** The same of the token that this page has. */
export const useWhyNot = (needed: Role): string => useLive(({ role }) => whyNot(role, needed));
