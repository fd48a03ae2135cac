/** What a step's work comes to where nobody asks. */
export function nothing(): void {
  // Whatever a step's work came to, its event has told.
}

/** Resolves with the promise, or after `limitMs` without it. */
export async function within(limitMs: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([promise, over]);
  clearTimeout(timer);
}
