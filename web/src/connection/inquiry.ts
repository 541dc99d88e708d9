// Why a socket does not open: it says nothing itself.

export interface Obstacle {
  /** The server asks for its token. */
  refused: boolean;
  /** It wants to be left alone for so long; 0 where it does not say. */
  wait_ms: number;
}

export async function inquire(token: string): Promise<Obstacle> {
  const headers: HeadersInit = token ? { Authorization: `Bearer ${token}` } : {};
  try {
    const { status, headers: told } = await fetch("/", { method: "HEAD", credentials: "omit", cache: "no-store", headers });
    const wait_ms = status === 429 ? 1000 * (Number(told.get("Retry-After")) || 1) : 0;
    return { refused: status === 401, wait_ms };
  } catch {
    return { refused: false, wait_ms: 0 }; // there is no server
  }
}
