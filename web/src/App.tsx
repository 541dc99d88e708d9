import { useState } from "react";
import { Adjust } from "./components/Adjust";
import { Allowed } from "./components/Allowed";
import { Announcer } from "./components/Announcer";
import { AudioSettings } from "./components/AudioSettings";
import { Header } from "./components/Header";
import { HearYourself } from "./components/HearYourself";
import { Keys } from "./components/Keys";
import { Latency } from "./components/Latency";
import { Meter } from "./components/Meter";
import { NoticeBar } from "./components/NoticeBar";
import { type Part, Tabs } from "./components/Tabs";
import { TokenPrompt } from "./components/TokenPrompt";
import { Transport } from "./components/Transport";
import { Voices } from "./components/Voices";
import { Effects } from "./features/effects/Effects";
import { Features } from "./features/Features";
import { Mixer } from "./features/mixing/Mixer";
import { PageHost } from "./features/PageHost";
import { RecordBar } from "./features/recordings/RecordBar";
import { useHotkeys } from "./hooks/useHotkeys";
import { useTheme } from "./hooks/useTheme";
import { useWakeLock } from "./hooks/useWakeLock";
import { Scopes } from "./scopes/Scopes";
import { useLive } from "./state/live";

export function App() {
  const [keys, setKeys] = useState(false);
  const [part, setPart] = useState<Part>("voices");
  const phase = useLive((live) => live.phase);
  const refused = useLive((live) => live.refused);
  useTheme();
  useHotkeys();
  useWakeLock();
  const header = <Header onHelp={() => setKeys(true)} plain={refused} />;
  return (
    <div className="page" data-state={phase}>
      {refused ? (
        <>
          {header}
          <TokenPrompt />
        </>
      ) : (
        <PageHost>
          {header}
          <NoticeBar />
          <main data-part={part}>
            <section className="panel" aria-label="Live voice">
              <Transport />
              <div className="live">
                <div className="meters">
                  <Meter side="input" label="You" />
                  <Meter side="output" label="Changed" />
                </div>
                <Latency />
                <HearYourself />
                <Allowed needed="use">
                  <RecordBar />
                </Allowed>
              </div>
              <Tabs part={part} onPart={setPart} />
              <div className="part" data-part="adjust">
                <Allowed needed="use">
                  <Adjust />
                  <Mixer />
                </Allowed>
              </div>
              <div className="part" data-part="effects">
                <Allowed needed="use">
                  <Effects />
                </Allowed>
              </div>
              <div className="part" data-part="sound">
                <AudioSettings />
              </div>
            </section>
            <div className="stage">
              <Scopes />
              <Voices />
            </div>
          </main>
          <Features onKeys={() => setKeys(true)} />
          <Announcer />
          {keys && <Keys onClose={() => setKeys(false)} />}
        </PageHost>
      )}
    </div>
  );
}
