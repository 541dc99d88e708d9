import { useState } from "react";
import { Adjust } from "./components/Adjust";
import { AudioSettings } from "./components/AudioSettings";
import { Header } from "./components/Header";
import { Keys } from "./components/Keys";
import { Latency } from "./components/Latency";
import { Meter } from "./components/Meter";
import { NoticeBar } from "./components/NoticeBar";
import { TokenPrompt } from "./components/TokenPrompt";
import { Transport } from "./components/Transport";
import { Voices } from "./components/Voices";
import { Effects } from "./features/effects/Effects";
import { Features, Toolbar } from "./features/Features";
import { Mixer } from "./features/mixing/Mixer";
import { PageHost } from "./features/PageHost";
import { RecordBar } from "./features/recordings/RecordBar";
import { useHotkeys } from "./hooks/useHotkeys";
import { useTheme } from "./hooks/useTheme";
import { Scopes } from "./scopes/Scopes";
import { useLive } from "./state/live";

export function App() {
  const [keys, setKeys] = useState(false);
  const phase = useLive((live) => live.phase);
  const refused = useLive((live) => live.refused);
  useTheme();
  useHotkeys();
  return (
    <div className="page" data-state={phase}>
      <Header onHelp={() => setKeys(true)} />
      {refused ? (
        <TokenPrompt />
      ) : (
        <PageHost>
          <NoticeBar />
          <main>
            <div className="left">
              <Toolbar />
              <Voices />
              <Scopes />
            </div>
            <section className="panel" aria-label="Live voice">
              <Transport />
              <div className="meters">
                <Meter side="input" label="You" />
                <Meter side="output" label="Changed" />
              </div>
              <Latency />
              <Adjust />
              <Effects />
              <Mixer />
              <RecordBar />
              <AudioSettings />
            </section>
          </main>
          <Features />
        </PageHost>
      )}
      <Keys open={keys} onClose={() => setKeys(false)} />
    </div>
  );
}
