import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { explain } from "../../api/errors";
import { useWhyNot } from "../../state/role";
import type { EffectKind, EffectPreset } from "../../wire/rest";
import { useHost } from "../host";
import { latest } from "../latest";
import { added, changed, type Link, MAX_EFFECTS, moved, PRESETS, removed, restored, specs } from "./chain";
import { EffectCard } from "./EffectCard";
import { Picker } from "./Picker";
import { Presets } from "./Presets";
import { SaveVoice } from "./SaveVoice";

const STORE = "menura.effects";

function kept(): unknown {
  try {
    return JSON.parse(localStorage.getItem(STORE) ?? "[]");
  } catch {
    return [];
  }
}

function keep(chain: readonly Link[]): void {
  try {
    localStorage.setItem(STORE, JSON.stringify(specs(chain)));
  } catch {
    // then they last as long as the page
  }
}

/** A preset among all: one's own has an id, menura's a name. */
const keyOf = (preset: { id?: string; name: string }) => preset.id ?? `menura ${preset.name}`;

/** The effects after the voice: what is changed here is heard at once. */
export function Effects() {
  const { api, connected, wantEffects, notify } = useHost();
  const forbidden = useWhyNot("manage");
  const [catalogue, setCatalogue] = useState<EffectKind[]>([]);
  const [chain, setChain] = useState<Link[]>([]);
  const [own, setOwn] = useState<EffectPreset[]>([]);
  const [dialog, setDialog] = useState<"voice" | "presets" | null>(null);
  const [from, setFrom] = useState(""); // the preset of one's own that was chosen last
  const [said, setSaid] = useState("");
  const title = useRef<HTMLHeadingElement>(null);
  const dragged = useRef<number | null>(null);
  const tell = useRef({ wantEffects, notify });
  tell.current = { wantEffects, notify };
  const send = useMemo(
    () =>
      latest<Link[]>(
        (links) => tell.current.wantEffects(specs(links)),
        (error) => tell.current.notify(explain(error)),
      ),
    [],
  );

  useEffect(() => {
    if (!connected || catalogue.length) return;
    api.effects().then(
      ({ effects }) => {
        setCatalogue(effects);
        const before = restored(kept(), effects);
        setChain(before);
        if (before.length) send(before);
      },
      (error) => tell.current.notify(explain(error)),
    );
  }, [api, connected, catalogue.length, send]);

  const loadPresets = useCallback(async () => setOwn((await api.effectPresets()).presets), [api]);
  useEffect(() => {
    if (connected) loadPresets().catch(() => undefined); // an older server has none
  }, [connected, loadPresets]);

  function put(next: Link[]): void {
    setChain(next);
    keep(next);
    send(next);
  }

  function move(key: number, to: number): void {
    put(moved(chain, key, to));
    setSaid(`Effect ${Math.min(chain.length, Math.max(1, to + 1))} of ${chain.length}`);
  }

  function remove({ key, kind }: Link): void {
    put(removed(chain, key));
    setSaid(`${catalogue.find((one) => one.kind === kind)?.name ?? kind} removed`);
    title.current?.focus({ preventScroll: true }); // the button that had it is gone
  }

  const full = chain.length >= MAX_EFFECTS;
  const presets = PRESETS.filter(({ effects }) =>
    effects.every(({ kind }) => catalogue.some((known) => known.kind === kind)),
  );

  return (
    <section className="effects" aria-labelledby="effects-title">
      <header className="effects-head">
        <h2 id="effects-title" ref={title} tabIndex={-1}>Effects</h2>
        <Picker
          name="Presets of effects"
          label="Presets"
          disabled={!catalogue.length}
          onPick={(value) => {
            const preset = [...presets, ...own].find((one) => keyOf(one) === value);
            if (!preset) return;
            setFrom("id" in preset ? preset.name : "");
            put(restored(preset.effects, catalogue));
          }}
        >
          {own.length > 0 && (
            <optgroup label="Mine">
              {own.map((preset) => (
                <option key={preset.id} value={keyOf(preset)}>
                  {preset.name}
                </option>
              ))}
            </optgroup>
          )}
          <optgroup label="menura's">
            {presets.map((preset) => (
              <option key={preset.name} value={keyOf(preset)}>
                {preset.name}
              </option>
            ))}
          </optgroup>
        </Picker>
        <Picker
          name="Add an effect"
          label={full ? `At most ${MAX_EFFECTS}` : "Add…"}
          disabled={!catalogue.length || full}
          onPick={(value) => {
            const kind = catalogue.find((one) => one.kind === value);
            if (kind) put(added(chain, kind));
          }}
        >
          {catalogue.map(({ kind, name, description }) => (
            <option key={kind} value={kind} title={description}>
              {name}
            </option>
          ))}
        </Picker>
      </header>
      {chain.length === 0 && <p className="quiet">None. Add a room, an echo or a radio after the voice.</p>}
      <ol className="chain">
        {chain.map((link, at) => {
          const kind = catalogue.find((one) => one.kind === link.kind);
          if (!kind) return null;
          return (
            <EffectCard
              key={link.key}
              kind={kind}
              link={link}
              first={at === 0}
              last={at === chain.length - 1}
              onChange={(change) => put(changed(chain, link.key, change))}
              onMove={(by) => move(link.key, at + by)}
              onRemove={() => remove(link)}
              onDrag={() => {
                dragged.current = link.key;
              }}
              onDrop={() => {
                if (dragged.current !== null && dragged.current !== link.key) move(dragged.current, at);
                dragged.current = null;
              }}
            />
          );
        })}
      </ol>
      <footer className="effects-foot">
        <button
          type="button"
          className="plain"
          title={forbidden || undefined}
          onClick={() => setDialog("voice")}
          disabled={!connected || forbidden !== ""}
        >
          Save as my voice…
        </button>
        {(chain.length > 0 || own.length > 0) && (
          <button
            type="button"
            className="plain"
            title={forbidden || undefined}
            onClick={() => setDialog("presets")}
            disabled={!connected || forbidden !== ""}
          >
            My presets…
          </button>
        )}
        {chain.length > 0 && (
          <button
            type="button"
            className="plain"
            onClick={() => {
              put([]);
              setSaid("All effects removed");
              title.current?.focus({ preventScroll: true });
            }}
          >
            Remove all
          </button>
        )}
      </footer>
      <p className="unseen" role="status">
        {said}
      </p>
      {dialog === "voice" && <SaveVoice chain={chain} onClose={() => setDialog(null)} onSaved={() => put([])} />}
      {dialog === "presets" && (
        <Presets
          chain={chain}
          catalogue={catalogue}
          presets={own}
          from={from}
          onKept={setFrom}
          onChanged={loadPresets}
          onClose={() => setDialog(null)}
        />
      )}
    </section>
  );
}
