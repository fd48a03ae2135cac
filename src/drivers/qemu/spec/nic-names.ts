/**
 * Ids of network backends that nobody gave one: QEMU counts them up (`#net051` is the first, with two digits by
 * chance). At the destination they are ordinary ids, since `#` is not allowed there. Pure.
 */

export const COUNTED = /^nic-net\d+$/;

/** An id as it is said at the destination. */
export function nicName(id: string): string {
  return id.replace(/^#net(?=\d+$)/, 'nic-net');
}

/** The how manieth of its process. */
export function countOf(id: string): number {
  return Math.floor(Number(/\d{1,15}$/.exec(id)?.[0] ?? 0) / 100);
}
