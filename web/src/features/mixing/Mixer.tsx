import { useEffect, useId, useMemo, useRef, useState } from "react";
import { explain } from "../../api/errors";
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

/** A second voice beside the chosen one. */
export function Mixer() {
  const { voice, voices, connected, wantMix, notify } = useHost();
  const [second, setSecond] = useState("");
  const [balance, setBalance] = useState(0.5);
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
    if (other && voice) send(balanced(voice, other, balance));
    else if (mixing.current) send(null);
    mixing.current = Boolean(other && voice);
  }, [voice, other, balance, send]);

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
