/** What a voice is called and what is said of it. */
export interface Naming {
  name: string;
  description: string;
}

type NameFieldsProps = { naming: Naming; onChange: (naming: Naming) => void };

export function NameFields({ naming, onChange }: NameFieldsProps) {
  const { name, description } = naming;
  return (
    <>
      <label className="field">
        Name
        <input
          data-first=""
          maxLength={80}
          value={name}
          onChange={({ target }) => onChange({ name: target.value, description })}
        />
      </label>
      <label className="field">
        Description
        <input
          maxLength={500}
          value={description}
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
