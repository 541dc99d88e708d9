import { controller } from "../state/controller";
import { useLive } from "../state/live";
import { type Parameter, useSettings } from "../state/settings";
import { alike, ownParameters } from "../state/voice-choice";
import { Slider } from "./Slider";

interface Dial {
  name: Parameter;
  label: string;
  min: number;
  max: number;
  step: number;
  write: (value: number) => string;
}

const DIALS: Dial[] = [
  {
    name: "pitch_st",
    label: "Pitch",
    min: -24,
    max: 24,
    step: 0.5,
    write: (value) => `${value > 0 ? "+" : ""}${Math.round(value * 100) / 100} st`,
  },
  { name: "formant", label: "Formant", min: 0.5, max: 2, step: 0.01, write: (value) => `×${value.toFixed(2)}` },
  { name: "mix", label: "Mix", min: 0, max: 1, step: 0.01, write: (value) => `${Math.round(value * 100)} %` },
];

/** What is turned on top of the voice; a double click takes one back to the voice's own. */
export function Adjust() {
  const parameters = useSettings((settings) => settings.parameters);
  const chosen = useSettings((settings) => settings.voice);
  const voice = useLive(({ voices }) => voices?.find(({ id }) => id === chosen));
  const own = ownParameters(voice);
  return (
    <div className="adjust" role="group" aria-labelledby="adjust-title">
      <h2 id="adjust-title">Adjust</h2>
      <button
        type="button"
        className="plain reset"
        title={voice && `As ${voice.name} has it`}
        aria-disabled={alike(parameters, own)}
        onClick={() => controller.setParameters(own)}
      >
        Reset
      </button>
      {DIALS.map(({ name, label, min, max, step, write }) => (
        <Slider
          key={name}
          id={name}
          label={label}
          value={parameters[name]}
          min={min}
          max={max}
          step={step}
          said={write(parameters[name])}
          home={own[name]}
          onChange={(value) => controller.setParameters({ [name]: value })}
        />
      ))}
    </div>
  );
}
