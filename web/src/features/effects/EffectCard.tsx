import { useId } from "react";
import type { EffectKind, EffectParam } from "../../wire/rest";
import { amount } from "../write";
import type { Link } from "./chain";

type EffectCardProps = {
  kind: EffectKind;
  link: Link;
  first: boolean;
  last: boolean;
  onChange: (change: Partial<Omit<Link, "key">>) => void;
  onMove: (by: 1 | -1) => void;
  onRemove: () => void;
  onDrag: () => void;
  onDrop: () => void;
};

/** One effect of the chain: its switch, its place, its sliders. */
export function EffectCard({ kind, link, first, last, onChange, onMove, onRemove, onDrag, onDrop }: EffectCardProps) {
  const set = (name: string, value: number | string) => onChange({ params: { ...link.params, [name]: value } });
  return (
    <li
      className="effect"
      aria-label={kind.name}
      data-enabled={link.enabled}
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        event.stopPropagation();
        onDrop();
      }}
    >
      <div className="effect-head">
        <span className="grip" draggable onDragStart={onDrag} aria-hidden="true" title="Drag to another place">
          ⠿
        </span>
        <label className="effect-name">
          <input
            type="checkbox"
            checked={link.enabled}
            onChange={({ target }) => onChange({ enabled: target.checked })}
          />
          {kind.name}
        </label>
        <button
          type="button"
          className="plain"
          disabled={first}
          aria-label={`${kind.name}: earlier`}
          onClick={() => onMove(-1)}
        >
          ↑
        </button>
        <button
          type="button"
          className="plain"
          disabled={last}
          aria-label={`${kind.name}: later`}
          onClick={() => onMove(1)}
        >
          ↓
        </button>
        <button type="button" className="plain" aria-label={`Remove ${kind.name}`} onClick={onRemove}>
          ×
        </button>
      </div>
      {link.enabled &&
        kind.params.map((param) => (
          <Param
            key={param.name}
            param={param}
            value={link.params[param.name] ?? (param.default as number | string)}
            onChange={(value) => set(param.name, value)}
          />
        ))}
    </li>
  );
}

type ParamProps = { param: EffectParam; value: number | string; onChange: (value: number | string) => void };

function Param({ param, value, onChange }: ParamProps) {
  const id = useId();
  if (param.choices?.length) {
    return (
      <div className="param">
        <label htmlFor={id}>{param.label}</label>
        <select id={id} value={String(value)} onChange={({ target }) => onChange(target.value)}>
          {param.choices.map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      </div>
    );
  }
  const said = amount(Number(value), param.unit, param.step ?? 0.01);
  return (
    <div className="param">
      <label htmlFor={id}>{param.label}</label>
      <input
        id={id}
        type="range"
        min={param.min ?? 0}
        max={param.max ?? 1}
        step={param.step ?? 0.01}
        value={Number(value)}
        aria-valuetext={said}
        onChange={({ target }) => onChange(target.valueAsNumber)}
        onDoubleClick={() => onChange(param.default as number)}
      />
      <output htmlFor={id}>{said}</output>
    </div>
  );
}
