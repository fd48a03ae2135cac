import { signal } from '@preact/signals';

/** The outcome of an action, with a link to its result. */
export interface Toast {
  readonly id: number;
  readonly words: string;
  readonly tone: 'good' | 'warn';
  readonly link?: { readonly href: string; readonly words: string };
}

export const toasts = signal<readonly Toast[]>([]);

/** Older ones give way. */
const MAX_TOASTS = 4;
let last = 0;

/** Shows what became of an action; the newest is the last. */
export function toast({ tone = 'good', ...given }: Omit<Toast, 'id' | 'tone'> & Partial<Toast>) {
  last += 1;
  toasts.value = withToast(toasts.value, { ...given, tone, id: last });
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((each) => each.id !== id);
}

/** The list with one more, without what it says already. Pure. */
export function withToast(list: readonly Toast[], next: Toast): readonly Toast[] {
  return [...list.filter(({ words }) => words !== next.words), next].slice(-MAX_TOASTS);
}
