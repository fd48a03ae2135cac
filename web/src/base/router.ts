import { signal } from '@preact/signals';

export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
}

const here = (): Place => ({
  path: location.pathname,
  query: new URLSearchParams(location.search),
});

/** Where the person is. */
export const place = signal<Place>(here());

/** Goes to a path of the dashboard; `replace`: without a step back. */
export function go(to: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  const before = place.value.path;
  place.value = here();
  if (before === place.value.path) return;
  scrollTo(0, 0);
  // As after a load of a page: a screen reader and the keyboard begin at its top.
  requestAnimationFrame(() => document.querySelector<HTMLElement>('#main')?.focus());
}

/** Changes the query alone; what is empty is left out of it. */
export function putQuery(changes: Readonly<Record<string, string | undefined>>): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === '') query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(`${location.pathname}${text === '' ? '' : `?${text}`}`, { replace: true });
}

/** Links of the dashboard change the place; all others, and those that are to open elsewhere, are the browser's. */
export function followLinks(): void {
  addEventListener('popstate', () => {
    place.value = here();
  });
  document.addEventListener('click', (event) => {
    const link = (event.target as Element | null)?.closest('a');
    if (link === null || link === undefined || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.target !== '' || link.origin !== location.origin || link.hasAttribute('download'))
      return;
    if (link.pathname.startsWith('/v1/') || link.getAttribute('href')?.startsWith('#') === true)
      return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
