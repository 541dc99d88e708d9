// The settings that the person wants, and what of them the server has been told.

import type { Held } from "./link";
import type { ActionName } from "./messages";

type Field = keyof Held;
const ACTIONS = { parameters: "setParameters", input: "setInput", effects: "setEffects" } as const;
const FIELDS = Object.keys(ACTIONS) as Field[];

export class Agreement {
  private readonly held: Partial<Held> = {};
  private told: Partial<Record<Field, string>> = {}; // as last sent, in JSON

  hold(held: Partial<Held>): void {
    Object.assign(this.held, held);
  }

  /** What the server has not been told as it is wanted, as far as an action `may` be sent; from now on it has. */
  due(may: (action: ActionName) => boolean): { action: ActionName; fields: object }[] {
    return FIELDS.flatMap((field) => {
      const action = ACTIONS[field];
      const text = JSON.stringify(this.held[field]);
      if (text === undefined || text === this.told[field] || !may(action)) return [];
      this.told[field] = text;
      return [{ action, fields: { [field]: this.held[field] } }];
    });
  }

  /** An action was not done, or undone: it is due again. */
  forget(action: ActionName): void {
    for (const field of FIELDS) if (ACTIONS[field] === action) delete this.told[field];
  }

  /** Another server knows nothing. */
  clear(): void {
    this.told = {};
  }

  /** Whether the parameters are wanted otherwise. */
  differs(parameters: Record<string, number>): boolean {
    return Object.entries(this.held.parameters ?? {}).some(([name, value]) => parameters[name] !== value);
  }
}
