import { useEffect, useId, useMemo, useRef, useState } from "react";
import { explain } from "../../api/errors";
import { useWhyNot } from "../../state/role";
import type { MixPart } from "../../wire/control";
import { useHost } from "../host";
import { latest } from "../latest";

/** Gains that keep the power: two voices of one speaker differ in pitch, so they add like strangers. */
export function balanced(first: string, second: string, balance: number): MixPart[] {
  const angle = (Math.min(1, Math.max(0, balance)) * Math.PI) / 2;
  const gain = (value: number) => Math.round(1000 * Math.abs(value)) / 1000;
  return [
    { voiceId: first, gain: gain(Math.cos(angle)) },
    { voiceId: second, gain: gain(Math.sin(angle)) },
  ];
}

const STORE = "menura.mix";

/** As it was left, if that can be. */
function kept(): { second: string; balance: number } {
  try {
    const { second, balance } = JSON.parse(localStorage.getItem(STORE) ?? "{}");
    return {
      second: typeof second === "string" ? second : "",
      balance: typeof balance === "number" && balance >= 0 && balance <= 1 ? balance : 0.5,
    };
  } catch {
    return { second: "", balance: 0.5 };
  }
}

function keep(second: string, balance: number): void {
  try {
    localStorage.setItem(STORE, JSON.stringify({ second, balance }));
  } catch {
    // then it lasts as long as the page
  }
}

/** A second voice beside the chosen one. */
export function Mixer() {
  const { voice, voices, connected, wantMix, notify } = useHost();
  const [before] = useState(kept);
  const [second, setSecond] = useState(before.second);
  const [balance, setBalance] = useState(before.balance);
  const forbidden = useWhyNot("use");
  const id = useId();
  const tell = useRef({ wantMix, notify });
  tell.current = { wantMix, notify };
  const send = useMemo(
    () =>
      latest<MixPart[] | null>(
        (parts) => tell.current.wantMix(parts),
        (error) => tell.current.notify(explain(error)),
      ),
    [],
  );
  const other = second && second !== voice && voices.some((one) => one.id === second) ? second : "";
  const mixing = useRef(false);

  useEffect(() => {
    if (forbidden) return;
    if (other && voice) send(balanced(voice, other, balance));
    else if (mixing.current) send(null);
    mixing.current = Boolean(other && voice);
  }, [voice, other, balance, forbidden, send]);

  useEffect(() => keep(second, balance), [second, balance]);

  const nameOf = (wanted: string) => voices.find((one) => one.id === wanted)?.name ?? "";
  return (
    <section className="mixer" aria-label="Second voice">
      <label htmlFor={`${id}-voice`}>Second voice</label>
      <select
        id={`${id}-voice`}
        value={other}
        disabled={!connected || !voice}
        onChange={({ target }) => setSecond(target.value)}
      >
        <option value="">None</option>
        {voices
          .filter((one) => one.id !== voice)
          .map((one) => (
            <option key={one.id} value={one.id}>
              {one.name}
            </option>
          ))}
      </select>
      {other && (
        <>
          <input
            type="range"
            min={0}
            max={1}
            step={0.01}
            value={balance}
            aria-label={`Balance from ${nameOf(voice)} to ${nameOf(other)}`}
            aria-valuetext={`${Math.round(100 * (1 - balance))} % ${nameOf(voice)}, ${Math.round(100 * balance)} % ${nameOf(other)}`}
            onChange={({ target }) => setBalance(target.valueAsNumber)}
            onDoubleClick={() => setBalance(0.5)}
          />
          <p className="ends" aria-hidden="true">
            <span>{nameOf(voice)}</span>
            <span>{nameOf(other)}</span>
          </p>
          <p className="quiet">Pitch, formant and mix move both, as far from where each begins.</p>
        </>
      )}
    </section>
  );
}
