import { afterEach, describe, expect, it, vi } from "vitest";
import { Api, fileName } from "./api";
import { ApiError, errorOf, explain } from "./errors";
import { upload } from "./upload";

function answering(status: number, body: string, headers: Record<string, string> = {}) {
  const asked = vi.fn(async (_url: string, _init: RequestInit) => new Response(body, { status, headers }));
  vi.stubGlobal("fetch", asked);
  return asked;
}

afterEach(() => vi.unstubAllGlobals());

const failure = (promise: Promise<unknown>) => promise.then(() => null).catch((error: unknown) => error as ApiError);

describe("Api", () => {
  it("asks with token, query and version", async () => {
    const asked = answering(200, '{"voices":[],"total":0}');
    const api = new Api("secret");
    await api.voices({ search: "old man", favourite: true, category: "" });
    expect(asked.mock.calls[0]?.[0]).toBe("/api/voices?search=old+man&favourite=true");
    await api.changeVoice("a/b", { name: "x" }, 3);
    const [url, init] = asked.mock.calls[1] ?? [];
    expect(url).toBe("/api/voices/a%2Fb");
    expect(init?.headers).toMatchObject({ Authorization: "Bearer secret", "If-Match": '"3"' });
  });

  it("tells what the server told", async () => {
    answering(409, '{"error":"Model loading failed","code":"model_unsafe","reason":"it would run os.system"}');
    const error = await failure(new Api("").voice("x"));
    expect(error).toBeInstanceOf(ApiError);
    expect([error?.code, error?.status]).toEqual(["model_unsafe", 409]);
    expect(explain(error)).toBe("Model loading failed: it would run os.system");
  });

  it("tells the absence of a server from a cancelled question", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("failed")));
    expect((await failure(new Api("").effects()))?.code).toBe("unreachable");
    const cancelled = new AbortController();
    cancelled.abort();
    const error = await failure(new Api("").conversion("x", cancelled.signal));
    expect(error?.code).toBe("aborted");
    expect(explain(error)).toBe("");
  });

  it("refuses an answer that is no JSON", async () => {
    answering(200, "<html>");
    expect((await failure(new Api("").effects()))?.code).toBe("bad_answer");
  });

  it("makes addresses for players", () => {
    expect(new Api("").mediaUrl("/api/x")).toBe("/api/x");
    expect(new Api("a b").mediaUrl("/api/x?side=input")).toBe("/api/x?side=input&token=a%20b");
  });
});

describe("errorOf", () => {
  it("has words for a proxy's page, and when to come again", () => {
    const error = errorOf(429, "<html>Too many</html>", "3");
    expect([error.code, error.retryAfterMs]).toEqual(["http_429", 3000]);
    expect(error.message).toContain("wait");
  });
});

describe("fileName", () => {
  it("takes the encoded name first", () => {
    expect(fileName(`attachment; filename="a.menura"; filename*=UTF-8''%C3%84.menura`)).toBe("Ä.menura");
    expect(fileName('attachment; filename="a \\"b\\".wav"')).toBe('a "b".wav');
    expect(fileName("attachment; filename*=UTF-8''%E0%A4%A")).toBe("");
    expect(fileName(null)).toBe("");
  });
});

describe("upload", () => {
  class Request {
    static latest: Request;
    upload: Record<string, (event: unknown) => void> = {};
    onabort = () => undefined as void;
    onloadend = () => undefined as void;
    aborted = false;
    constructor() {
      Request.latest = this;
    }
    open() {}
    setRequestHeader() {}
    send() {}
    abort() {
      this.aborted = true;
      this.onabort();
      this.onloadend();
    }
  }

  it("ends where nothing goes out for a minute, but not while the server looks at the file", async () => {
    vi.useFakeTimers();
    vi.stubGlobal("XMLHttpRequest", Request);
    const shares: number[] = [];
    const sent = failure(upload("/api/models", new Blob(["x"]), "", { progress: (share) => shares.push(share) }));
    await vi.advanceTimersByTimeAsync(50_000);
    Request.latest.upload.onprogress?.({ loaded: 1, total: 2 });
    await vi.advanceTimersByTimeAsync(50_000);
    expect([Request.latest.aborted, shares]).toEqual([false, [0.5]]);
    await vi.advanceTimersByTimeAsync(10_001);
    expect([Request.latest.aborted, (await sent)?.code]).toEqual([true, "unreachable"]);

    const checked = upload("/api/models", new Blob(["x"]), "");
    checked.catch(() => undefined);
    Request.latest.upload.onload?.({});
    await vi.advanceTimersByTimeAsync(600_000);
    expect(Request.latest.aborted).toBe(false);
    vi.useRealTimers();
  });
});
