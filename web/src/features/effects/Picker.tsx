import type { KeyboardEvent, ReactNode } from "react";

type PickerProps = {
  name: string;
  /** What stands in it. */
  label: string;
  disabled: boolean;
  onPick: (value: string) => void;
  /** Options. */
  children: ReactNode;
};

/** Some browsers choose by an arrow or a letter without showing the list: here each choice does something. */
function show(event: KeyboardEvent<HTMLSelectElement>): void {
  const { key, currentTarget, ctrlKey, altKey, metaKey } = event;
  const chooses = key.startsWith("Arrow") || (key.length === 1 && key !== " ");
  if (!chooses || ctrlKey || altKey || metaKey || !currentTarget.showPicker) return;
  event.preventDefault();
  currentTarget.showPicker();
}

/** A list of things to do, one of which is chosen each time. */
export function Picker({ name, label, disabled, onPick, children }: PickerProps) {
  return (
    <select
      aria-label={name}
      value=""
      disabled={disabled}
      onKeyDown={show}
      onChange={({ target }) => onPick(target.value)}
    >
      <option value="" disabled>
        {label}
      </option>
      {children}
    </select>
  );
}
