/** What the server answered in place of what was asked, or that it did not answer. */
export class ApiError extends Error {
  /**
   * @param text for people
   * @param code the server's stable code; `unreachable`, `aborted` or `bad_answer` where there was no answer of its own
   * @param status of HTTP; 0 where there was none
   * @param reason what it says beside the text
   */
  constructor(
    text: string,
    readonly code: string,
    readonly status: number,
    readonly reason = "",
    readonly retryAfterMs = 0,
  ) {
    super(text);
    this.name = "ApiError";
  }

  /** The text and the reason, as one sentence would say it. */
  get whole(): string {
    return this.reason ? `${this.message}: ${this.reason}` : this.message;
  }
}

const WITHOUT_TEXT: Record<number, string> = {
  401: "This server asks for its token: open the address that menura serve printed",
  403: "This token may not do that",
  404: "It is no longer there",
  413: "This is larger than the server takes",
  429: "Too much at once: wait a moment",
};

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** The error that an answer tells; also of a proxy that answers in HTML. */
export function errorOf(status: number, body: string, retryAfter: string | null = null): ApiError {
  let told: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(body);
    if (parsed && typeof parsed === "object") told = parsed as Record<string, unknown>;
  } catch {
    // then only the status tells
  }
  const seconds = Number(retryAfter);
  const later = typeof told.retry_after_ms === "number" ? told.retry_after_ms : seconds > 0 ? seconds * 1000 : 0;
  const plain = WITHOUT_TEXT[status] ?? `The server could not do that (${status})`;
  return new ApiError(text(told.error) || plain, text(told.code) || `http_${status}`, status, text(told.reason), later);
}

export const unreachable = (): ApiError =>
  new ApiError("The server cannot be reached. Is menura still running?", "unreachable", 0);

export const stalled = (): ApiError =>
  new ApiError("Nothing could be sent for a minute. Is the network there?", "unreachable", 0);

export const aborted = (): ApiError => new ApiError("Cancelled", "aborted", 0);

/** What to tell of anything that was thrown; empty for what the person cancelled. */
export function explain(error: unknown): string {
  if (error instanceof ApiError) return error.code === "aborted" ? "" : error.whole;
  if (error && typeof error === "object" && "error" in error) {
    const told = error as { error: unknown; reason?: unknown };
    return told.reason ? `${told.error}: ${told.reason}` : String(told.error);
  }
  return error instanceof Error ? error.message : String(error);
}
