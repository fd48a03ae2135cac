/**
 * What Godwit leaves in the notes of a virtual machine while a migration of it lasts: Hyper-V has no name for a task, and
 * takes the notes along with the guest. The time is the source host's own, as its jobs report it. Pure.
 */

/** How the mark of a migration begins; the host adds when it wrote it, and a bracket. */
export function markBegins(id: string): string {
  return `[godwit ${id} `;
}

/** When the host was ordered this migration, ms since 1970 by its clock; undefined where the notes have no mark of it. */
export function markedAt(notes: string, id: string): number | undefined {
  const begins = markBegins(id);
  const at = notes.indexOf(begins);
  if (at === -1) return undefined;
  const time = /^([0-9TZ:.-]{1,40})\]/.exec(notes.slice(at + begins.length))?.[1] ?? '';
  const parsed = Date.parse(time);
  return Number.isNaN(parsed) ? undefined : parsed;
}
