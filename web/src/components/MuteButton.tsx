import { Icon } from "./Icon";

interface MuteButtonProps {
  icon: "speaker" | "microphone";
  label: string;
  muted: boolean;
  onMute(muted: boolean): void;
}

/** Off and on again, drawn and said. */
export function MuteButton({ icon, label, muted, onMute }: MuteButtonProps) {
  return (
    <button
      type="button"
      className="plain square"
      aria-pressed={muted}
      aria-label={label}
      title={label}
      onClick={() => onMute(!muted)}
    >
      <Icon name={icon} crossed={muted} />
    </button>
  );
}
