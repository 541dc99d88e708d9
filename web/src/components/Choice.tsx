interface ChoiceProps {
  id: string;
  label: string;
  value: string;
  /** Value and text. */
  options: [string, string][];
  disabled?: boolean;
  onChange: (value: string) => void;
}

/** One of several, with a label. A value that is not there at present stays chosen, and is told so. */
export function Choice({ id, label, value, options, disabled = false, onChange }: ChoiceProps) {
  const known = options.some(([one]) => one === value);
  return (
    <div className="choice">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} disabled={disabled} onChange={(event) => onChange(event.target.value)}>
        {options.map(([one, text]) => (
          <option key={one} value={one}>
            {text}
          </option>
        ))}
        {!known && <option value={value}>the one chosen before</option>}
      </select>
    </div>
  );
}
