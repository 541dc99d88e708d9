import { useId } from "react";
import { Slider } from "../../components/Slider";
import type { RvcOption } from "../../wire/rest";
import { amount } from "../write";

export type RvcValue = number | string | boolean;
export type RvcParams = Record<string, RvcValue>;

type RvcFieldsProps = {
  options: readonly RvcOption[];
  /** As the voice has them; what is missing is the option's default. */
  params: Record<string, unknown>;
  onChange: (name: string, value: RvcValue) => void;
};

/** What may be set of a voice that is an RVC model: first what is heard, then how it is computed. */
export function RvcFields({ options, params, onChange }: RvcFieldsProps) {
  const field = (option: RvcOption) => (
    <Field
      key={option.name}
      option={option}
      value={(params[option.name] as RvcValue | undefined) ?? option.default}
      onChange={(value) => onChange(option.name, value)}
    />
  );
  return (
    <>
      <details className="folded">
        <summary>The model's sound</summary>
        {options.filter(({ live }) => live).map(field)}
      </details>
      <details className="folded">
        <summary>How it is computed</summary>
        {options.filter(({ live }) => !live).map(field)}
      </details>
    </>
  );
}

/** A name in the protocol as people read it; its unit stands elsewhere. */
export function readable(name: string): string {
  const words = name.replace(/_(st|ms|db|hz)$/, "").replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A step that divides a range into what a person can hear apart. */
const stepOf = (low: number, high: number): number => (high - low <= 2 ? 0.01 : high - low <= 60 ? 0.5 : 1);

type FieldProps = { option: RvcOption; value: RvcValue | null; onChange: (value: RvcValue) => void };

function Field({ option, value, onChange }: FieldProps) {
  const { name, what, type, min, max, unit, live } = option;
  const hint = useId();
  const label = readable(name);
  let control = <Typed option={option} label={label} value={value} hint={hint} onChange={onChange} />;
  if (type === "choice") control = <Chosen option={option} label={label} value={value} hint={hint} onChange={onChange} />;
  if (type === "switch") {
    control = (
      <label className="check">
        <input
          type="checkbox"
          aria-describedby={hint}
          checked={value === true}
          onChange={({ target }) => onChange(target.checked)}
        />
        {label}
      </label>
    );
  }
  if (type === "number" && live && min !== null && max !== null) {
    const step = stepOf(min, max);
    const number = Number(value);
    control = (
      <Slider
        label={label}
        value={number}
        min={min}
        max={max}
        step={step}
        said={amount(number, unit, step)}
        home={Number(option.default)}
        onChange={onChange}
      />
    );
  }
  return (
    <div className="option">
      {control}
      <p id={hint} className="quiet">
        {what}
      </p>
    </div>
  );
}

type ControlProps = FieldProps & { label: string; hint: string };

function Typed({ option, label, value, hint, onChange }: ControlProps) {
  const { type, min, max, unit } = option;
  return (
    <label className="field">
      {unit ? `${label}, ${unit}` : label}
      <input
        type="number"
        min={min ?? undefined}
        max={max ?? undefined}
        step={type === "whole" ? 1 : "any"}
        placeholder={value === null ? "as the quality has it" : undefined}
        aria-describedby={hint}
        defaultValue={value === null ? "" : String(value)}
        onChange={({ target }) => Number.isFinite(target.valueAsNumber) && onChange(target.valueAsNumber)}
      />
    </label>
  );
}

function Chosen({ option, label, value, hint, onChange }: ControlProps) {
  return (
    <label className="field">
      {label}
      <select
        value={value === null ? "" : String(value)}
        aria-describedby={hint}
        onChange={({ target }) => onChange(target.value)}
      >
        {value === null && <option value="">as the quality has it</option>}
        {option.choices.map((choice) => (
          <option key={choice}>{choice}</option>
        ))}
      </select>
    </label>
  );
}
