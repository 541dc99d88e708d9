import { useId } from "react";

interface SliderProps {
  /** For the element; one is made where it is missing. */
  id?: string;
  label: string;
  value: number;
  min: number;
  max: number;
  step: number;
  /** The value as people read it. */
  said: string;
  /** Where a double click takes it. */
  home: number;
  disabled?: boolean;
  onChange: (value: number) => void;
}

/** A labelled slider with its value beside it. */
export function Slider({ id, label, value, min, max, step, said, home, disabled = false, onChange }: SliderProps) {
  const made = useId();
  const own = id ?? made;
  return (
    <div className="slider">
      <label htmlFor={own}>{label}</label>
      <input
        id={own}
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        disabled={disabled}
        aria-valuetext={said}
        onChange={({ target }) => onChange(target.valueAsNumber)}
        onDoubleClick={() => onChange(home)}
      />
      <output id={`${own}-value`} htmlFor={own}>
        {said}
      </output>
    </div>
  );
}
