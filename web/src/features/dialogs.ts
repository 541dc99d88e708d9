import { create } from "zustand";

export type DialogName = "import" | "convert" | "recordings" | "settings";

interface Dialogs {
  /** The one that is open, and the files it was opened for. */
  opened: { what: DialogName; files: File[] } | null;
  open(what: DialogName, files?: File[]): void;
  close(): void;
}

export const useDialogs = create<Dialogs>((set) => ({
  opened: null,
  open: (what, files = []) => set({ opened: { what, files } }),
  close: () => set({ opened: null }),
}));
