import { useDeferredValue, useMemo, useState } from "react";
import { useLive } from "../state/live";
import { useSettings } from "../state/settings";
import { VoiceCard } from "./VoiceCard";
import { groups } from "./voice-groups";

export function Voices() {
  const voices = useLive((live) => live.voices);
  const chosen = useSettings((settings) => settings.voice);
  const [search, setSearch] = useState("");
  const [favourites, setFavourites] = useState(false);
  const wanted = useDeferredValue(search);
  const found = useMemo(() => groups(voices ?? [], wanted, favourites), [voices, wanted, favourites]);
  const marked = voices?.some(({ favourite }) => favourite !== undefined);
  return (
    <section className="voices" aria-labelledby="voices-title">
      <div className="voices-top">
        <h1 id="voices-title">Pick a voice</h1>
        <input
          type="search"
          placeholder="Search"
          aria-label="Search voices"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
        {marked && (
          <button type="button" className="plain" aria-pressed={favourites} onClick={() => setFavourites(!favourites)}>
            Favourites
          </button>
        )}
      </div>
      {found.map((group) => (
        <fieldset key={group.title}>
          <legend>{group.title}</legend>
          <div className="cards">
            {group.voices.map((voice) => (
              <VoiceCard key={voice.id} voice={voice} chosen={voice.id === chosen} />
            ))}
          </div>
        </fieldset>
      ))}
      {!found.length && <p className="quiet">{voices ? "No voice is found." : "Asking the server for its voices…"}</p>}
    </section>
  );
}
