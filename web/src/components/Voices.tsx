import { useDeferredValue, useMemo, useState } from "react";
import { usePreview } from "../features/voices/preview";
import { useLive } from "../state/live";
import { useSettings } from "../state/settings";
import { Icon } from "./Icon";
import { VoiceCard } from "./VoiceCard";
import { groups } from "./voice-groups";

function none(known: boolean, search: string, favourites: boolean): string {
  if (!known) return "Asking the server for its voices…";
  if (search.trim()) return `No ${favourites ? "favourite" : "voice"} is found for “${search.trim()}”.`;
  return favourites ? "No voice is found here yet: press the star of one." : "This server has no voices.";
}

export function Voices() {
  const voices = useLive((live) => live.voices);
  const chosen = useSettings((settings) => settings.voice);
  const [search, setSearch] = useState("");
  const [favourites, setFavourites] = useState(false);
  const wanted = useDeferredValue(search);
  const found = useMemo(() => groups(voices ?? [], wanted, favourites), [voices, wanted, favourites]);
  const count = found.reduce((sum, group) => sum + group.voices.length, 0);
  const marked = voices?.some(({ favourite }) => favourite !== undefined);
  const filtered = Boolean(wanted.trim()) || favourites;
  return (
    <section className="voices" aria-labelledby="voices-title">
      <div className="voices-top">
        <h2 id="voices-title" tabIndex={-1} data-home="">
          Pick a voice
        </h2>
        <input
          type="search"
          placeholder="Search"
          aria-label="Search voices"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
        {marked && (
          <button
            type="button"
            className="plain favourites"
            aria-pressed={favourites}
            onClick={() => setFavourites(!favourites)}
          >
            <Icon name="star" />
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
      {!count && (
        <div className="nothing">
          <p>{none(voices !== null, wanted, favourites)}</p>
          {filtered && (
            <button
              type="button"
              className="plain"
              onClick={() => {
                setSearch("");
                setFavourites(false);
              }}
            >
              Show all voices
            </button>
          )}
        </div>
      )}
      <p className="unseen" role="status">
        {filtered && count ? `${count} ${count === 1 ? "voice" : "voices"} found` : ""}
      </p>
      <PreviewSaid />
    </section>
  );
}

/** Rendering a preview takes a moment, in which nothing else tells that something goes on. */
function PreviewSaid() {
  const preview = usePreview((one) => one.preview);
  const name = useLive(({ voices }) => voices?.find(({ id }) => id === preview?.id)?.name);
  return (
    <p className="unseen" role="status">
      {preview?.state === "loading" && name ? `Preparing the preview of ${name}` : ""}
    </p>
  );
}
