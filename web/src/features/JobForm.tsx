import type { ReactNode } from "react";
import { Failure } from "./Dialog";
import { useJob } from "./useJob";

type JobFormProps = {
  /** What the form is for; what it throws is told. */
  work: () => Promise<unknown>;
  submit: string;
  /** What the button says meanwhile. */
  working?: string;
  ready?: boolean;
  danger?: boolean;
  /** What went wrong elsewhere. */
  trouble?: string;
  /** Another way out. */
  beside?: ReactNode;
  children: ReactNode;
};

/** A dialog's form that does one thing, and says why it could not; the focus stays where it is meanwhile. */
export function JobForm({
  work,
  submit,
  working = submit,
  ready = true,
  danger = false,
  trouble = "",
  beside,
  children,
}: JobFormProps) {
  const { busy, failure, run } = useJob();
  return (
    <form
      className="stack"
      noValidate // what is folded could not be pointed at: the button waits, and the server says what cannot be
      onSubmit={(event) => {
        event.preventDefault();
        if (ready && !busy) void run(work);
      }}
    >
      {children}
      <Failure text={failure || trouble} />
      <div className="actions">
        {beside}
        <button type="submit" className={danger ? "plain danger" : "primary"} disabled={!ready} aria-disabled={busy}>
          {busy ? working : submit}
        </button>
      </div>
    </form>
  );
}
