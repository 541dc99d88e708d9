import type { Api } from "../api/api";

/** Have the browser keep what the server has at a path. */
export async function download(api: Api, path: string, fallback: string, signal?: AbortSignal): Promise<void> {
  const { blob, name } = await api.file(path, signal);
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name || fallback;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
