/** What a voice is called and what is said of it. */
export interface Naming {
  name: string;
  description: string;
}

type NameFieldsProps = { naming: Naming; onChange: (naming: Naming) => void; disabled?: boolean };

export function NameFields({ naming, onChange, disabled = false }: NameFieldsProps) {
  const { name, description } = naming;
  return (
    <>
      <label className="field">
        Name
        <input
          data-first=""
          required
          maxLength={80}
          value={name}
          disabled={disabled}
          onChange={({ target }) => onChange({ name: target.value, description })}
        />
      </label>
      <label className="field">
        Description
        <input
          maxLength={500}
          value={description}
          disabled={disabled}
          onChange={({ target }) => onChange({ name, description: target.value })}
        />
      </label>
    </>
  );
}

/** As it is kept. */
export const trimmed = ({ name, description }: Naming): Naming => ({
  name: name.trim(),
  description: description.trim(),
});
