/**
 * Send the newest value only, one at a time: a slider that is dragged is as fast as the server, and never floods it.
 *
 * @param send resolves when the value is applied
 * @param failed gets what was thrown
 * @param restMs at least between two
 */
export function latest<T>(send: (value: T) => Promise<unknown>, failed: (error: unknown) => void, restMs = 50) {
  let waiting: { value: T } | null = null;
  let busy = false;

  async function run(): Promise<void> {
    busy = true;
    while (waiting) {
      const { value } = waiting;
      waiting = null;
      const rest = new Promise((resolve) => setTimeout(resolve, restMs));
      try {
        await send(value);
      } catch (error) {
        failed(error);
      }
      await rest;
    }
    busy = false;
  }

  return (value: T): void => {
    waiting = { value };
    if (!busy) void run();
  };
}
