import { controller } from "../state/controller";
import { NEUTRAL, type Parameter, useSettings } from "../state/settings";

interface Slider {
  name: Parameter;
  label: string;
  min: number;
  max: number;
  step: number;
  write: (value: number) => string;
}

const SLIDERS: Slider[] = [
  {
    name: "pitch_st",
    label: "Pitch",
    min: -12,
    max: 12,
    step: 0.5,
    write: (value) => `${value > 0 ? "+" : ""}${value} st`,
  },
  { name: "formant", label: "Formant", min: 0.7, max: 1.4, step: 0.01, write: (value) => `×${value.toFixed(2)}` },
  { name: "mix", label: "Mix", min: 0, max: 1, step: 0.01, write: (value) => `${Math.round(value * 100)} %` },
];

/** What is turned on top of the voice; a double click takes one back. */
export function Adjust() {
  const parameters = useSettings((settings) => settings.parameters);
  return (
    <fieldset className="adjust">
      <legend>Adjust</legend>
      <button type="button" className="plain reset" onClick={() => controller.setParameters(NEUTRAL)}>
        Reset
      </button>
      {SLIDERS.map(({ name, label, min, max, step, write }) => (
        <div key={name} className="slider">
          <label htmlFor={name}>{label}</label>
          <input
            id={name}
            type="range"
            min={min}
            max={max}
            step={step}
            value={parameters[name]}
            aria-valuetext={write(parameters[name])}
            onChange={(event) => controller.setParameters({ [name]: Number(event.target.value) })}
            onDoubleClick={() => controller.setParameters({ [name]: NEUTRAL[name] })}
          />
          <output id={`${name}-value`} htmlFor={name}>
            {write(parameters[name])}
          </output>
        </div>
      ))}
    </fieldset>
  );
}
