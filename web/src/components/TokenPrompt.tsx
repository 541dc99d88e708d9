import { useState } from "react";
import { controller } from "../state/controller";

/** In place of the page where the server asks for its token and this tab has none, or another. */
export function TokenPrompt() {
  const [token, setToken] = useState("");
  const wrong = Boolean(controller.token);
  return (
    <main className="token">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          controller.enter(token.trim());
        }}
      >
        <h2>One more step</h2>
        <p id="notice-text" role="alert">
          {wrong ? "This token is not right, or no longer. " : ""}
          This server asks for its token: open the address that menura serve printed, or enter the token here.
        </p>
        <label htmlFor="token">Token</label>
        <div className="row">
          <input
            id="token"
            type="password"
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            autoFocus
          required
            pattern="\s*[\w.~\-]+\s*"
            title="Letters, digits and . ~ - _"
            aria-describedby="notice-text"
            value={token}
            onChange={(event) => setToken(event.target.value)}
          />
          <button type="submit" className="primary">
            Continue
          </button>
        </div>
      </form>
    </main>
  );
}
