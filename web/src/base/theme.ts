import { signal } from '@preact/signals';

export const THEMES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];
const KEY = 'godwit-theme';

const isTheme = (text: string | null): text is Theme => THEMES.includes(text as Theme);

function kept(): Theme {
  try {
    const text = localStorage.getItem(KEY);
    return isTheme(text) ? text : 'auto';
  } catch {
    // A browser may forbid it; then each visit begins with the system's.
    return 'auto';
  }
}

export const theme = signal<Theme>(kept());

export function showTheme(next: Theme = theme.value): void {
  theme.value = next;
  const { dataset } = document.documentElement;
  if (next === 'auto') delete dataset['theme'];
  else dataset['theme'] = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // As above: it holds for this visit.
  }
}
