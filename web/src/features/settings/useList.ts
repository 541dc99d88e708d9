import { useCallback, useEffect, useState } from "react";
import { ApiError, explain } from "../../api/errors";

export interface List<T> {
  /** Null until it is known. */
  list: T[] | null;
  allowed: boolean;
  failure: string;
  /** Do something that changes it; tells whether it was done. */
  act(what: Promise<unknown>): Promise<boolean>;
}

/** A list of the server's, where this token may have it. */
export function useList<T>(load: () => Promise<T[]>): List<T> {
  const [list, setList] = useState<T[] | null>(null);
  const [allowed, setAllowed] = useState(true);
  const [failure, setFailure] = useState("");
  const refresh = useCallback(() => {
    load().then(setList, (error) => {
      if (error instanceof ApiError && [401, 403, 404].includes(error.status)) setAllowed(false);
      else setFailure(explain(error));
    });
  }, [load]);
  useEffect(refresh, [refresh]);
  const act = async (what: Promise<unknown>) => {
    setFailure("");
    try {
      await what;
    } catch (error) {
      setFailure(explain(error));
      return false;
    }
    refresh();
    return true;
  };
  return { list, allowed, failure, act };
}
