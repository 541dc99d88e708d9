import { Icon } from "../../components/Icon";
import { Slider } from "../../components/Slider";
import type { EffectKind } from "../../wire/rest";
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
  const set = (name: string, value: number) => onChange({ params: { ...link.params, [name]: value } });
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
          className="plain square"
          aria-disabled={first} // and keeps the focus
          aria-label={`${kind.name}: earlier`}
          onClick={() => first || onMove(-1)}
        >
          <Icon name="up" />
        </button>
        <button
          type="button"
          className="plain square"
          aria-disabled={last}
          aria-label={`${kind.name}: later`}
          onClick={() => last || onMove(1)}
        >
          <Icon name="down" />
        </button>
        <button type="button" className="plain square" aria-label={`Remove ${kind.name}`} onClick={onRemove}>
          <Icon name="close" />
        </button>
      </div>
      {link.enabled &&
        kind.params.map((param) => (
          <Slider
            key={param.name}
            label={param.label}
            value={Number(link.params[param.name] ?? param.default)}
            min={param.min ?? 0}
            max={param.max ?? 1}
            step={param.step ?? 0.01}
            said={amount(Number(link.params[param.name] ?? param.default), param.unit, param.step ?? 0.01)}
            home={Number(param.default)}
            onChange={(value) => set(param.name, value)}
          />
        ))}
    </li>
  );
}
