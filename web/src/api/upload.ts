import { ApiError, aborted, errorOf, stalled, unreachable } from "./errors";

const STALL_MS = 60_000; // nothing goes out any more, and nobody says so: a network that is gone is not told

export type Upload = {
  /** Share sent, 0–1; 1 while the server looks at it. */
  progress?: (share: number) => void;
  signal?: AbortSignal;
};

/** Send a file as the request's body; `fetch` cannot tell how far it is. */
export function upload<T>(url: string, body: Blob, token: string, options: Upload = {}): Promise<T> {
  const { progress, signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(aborted());
      return;
    }
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const watch = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        reject(stalled());
        stop();
      }, STALL_MS);
    };
    signal?.addEventListener("abort", stop, { once: true });
    request.open("POST", url);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.upload.onprogress = ({ loaded, total }) => {
      watch();
      progress?.(total > 0 ? Math.min(1, loaded / total) : 0);
    };
    request.upload.onload = () => {
      clearTimeout(timer); // now the server looks at it
      progress?.(1);
    };
    request.onabort = () => reject(aborted());
    request.onerror = () => reject(unreachable());
    request.onload = () => {
      const { status, responseText } = request;
      if (status < 200 || status > 299) {
        reject(errorOf(status, responseText, request.getResponseHeader("Retry-After")));
        return;
      }
      try {
        resolve(JSON.parse(responseText) as T);
      } catch {
        reject(new ApiError("The server's answer cannot be read", "bad_answer", status));
      }
    };
    request.onloadend = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    };
    watch();
    request.send(body);
  });
}
