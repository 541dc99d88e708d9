const TOKEN = "menura.token";

/** The server's token: brought by the address, kept for this tab, and taken out of sight. */
export function takeToken(): string {
  const address = new URL(location.href);
  const brought = address.searchParams.get("token");
  if (brought !== null) {
    address.searchParams.delete("token");
    history.replaceState(history.state, "", address);
  }
  try {
    if (brought) sessionStorage.setItem(TOKEN, brought);
    return brought || (sessionStorage.getItem(TOKEN) ?? "");
  } catch {
    return brought ?? ""; // then it lasts as long as the page
  }
}

/** Keep a token that the person typed in, for this tab. */
export function keepToken(token: string): void {
  try {
    sessionStorage.setItem(TOKEN, token);
  } catch {
    // then it lasts as long as the page
  }
}
