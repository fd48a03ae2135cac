import { signal } from '@preact/signals';

/** Hosts that a person has picked for a drain. */
export const picked = signal<ReadonlySet<string>>(new Set());

export function pick(host: string, isPicked: boolean): void {
  const next = new Set(picked.value);
  if (isPicked) next.add(host);
  else next.delete(host);
  picked.value = next;
}

export function pickNone(): void {
  picked.value = new Set();
}
