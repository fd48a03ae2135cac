/**
 * Ids of network backends without a given id. QEMU counts them (`#net051` is the first, with two random digits).
 * The destination gives them ordinary ids, since `#` is not allowed there. Pure.
 */

export const COUNTED = /^nic-net\d+$/;

export function nicName(id: string): string {
  return id.replace(/^#net(?=\d+$)/, 'nic-net');
}

export function countOf(id: string): number {
  return Math.floor(Number(/\d{1,15}$/.exec(id)?.[0] ?? 0) / 100);
}
