/**
 * The kernel frees the memory of an ending process page by page: 0.4 to 0.5 s per GiB of small pages, measured on a
 * busy machine with two processors.
 */
const ENDING_MS_PER_GIB = 1000;

/** Time of an undo without the end of the guest's process, ms. */
const UNDO_MS = 110_000;
const RESTART_MS = 180_000;

interface DescribedGuest {
  readonly known: { readonly description?: { readonly memoryBytes: number } | undefined };
}

export function endingMs(memoryBytes: number): number {
  return Math.ceil((memoryBytes / 1024 ** 3) * ENDING_MS_PER_GIB);
}

export function guestEndingMs({ known }: DescribedGuest): number {
  return endingMs(known.description?.memoryBytes ?? 0);
}

/** Deadline of one undo, ms; covers the destination's refusal, or proof that it is off. */
export function undoMs(state: DescribedGuest): number {
  return UNDO_MS + guestEndingMs(state);
}

/** Deadline to start the guest again, ms; both copies are ended first, one after the other. */
export function restartMs(state: DescribedGuest): number {
  return RESTART_MS + 2 * guestEndingMs(state);
}
