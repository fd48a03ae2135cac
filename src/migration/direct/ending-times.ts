/**
 * The kernel gives the memory of a process that ends back page by page: 0.4 to 0.5 s for each GiB of small pages were
 * measured on a busy machine of two processors.
 */
const ENDING_MS_PER_GIB = 1000;

/** Besides the end of a guest's process, ms. */
const UNDO_MS = 110_000;
const RESTART_MS = 180_000;

/** What is known of a guest once it was inspected. */
interface DescribedGuest {
  readonly known: { readonly description?: { readonly memoryBytes: number } | undefined };
}

/** ms that a process with so much memory may take to end, more than one with none. */
export function endingMs(memoryBytes: number): number {
  return Math.ceil((memoryBytes / 1024 ** 3) * ENDING_MS_PER_GIB);
}

/** The same for a process with the memory of the guest that a migration is about. */
export function guestEndingMs({ known }: DescribedGuest): number {
  return endingMs(known.description?.memoryBytes ?? 0);
}

/** ms that undoing one step may take: long enough for the destination's refusal, or the proof that it is off. */
export function undoMs(state: DescribedGuest): number {
  return UNDO_MS + guestEndingMs(state);
}

/** ms that starting the guest anew may take; both its copies are ended first, one after the other. */
export function restartMs(state: DescribedGuest): number {
  return RESTART_MS + 2 * guestEndingMs(state);
}
