import { useState } from "react";
import { controller } from "../state/controller";

/** In place of the page where the server asks for its token and this tab has none, or another. */
export function TokenPrompt() {
  const [token, setToken] = useState("");
  return (
    <form
      className="token"
      onSubmit={(event) => {
        event.preventDefault();
        controller.enter(token.trim());
      }}
    >
      <h1>One more step</h1>
      <p id="notice-text">
        This server asks for its token: open the address that menura serve printed, or enter the token here.
      </p>
      <label htmlFor="token">Token</label>
      <div className="row">
        <input
          id="token"
          type="password"
          autoComplete="off"
          required
          pattern="\s*[\w.~\-]+\s*"
          value={token}
          onChange={(event) => setToken(event.target.value)}
        />
        <button type="submit" className="plain">
          Continue
        </button>
      </div>
    </form>
  );
}
