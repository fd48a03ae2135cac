/** The query of the Guests page, as in the address of the page. Pure. */

/** Rows of one page. */
const PAGE_ROWS = 100;
/** Bounds of the API; a longer text is cut. */
const MAX_FIND = 63;
const FILTERS = ['host', 'state', 'movable', 'label', 'cursor'] as const;

/** The path of one page of guests. */
export function guestsPath(query: URLSearchParams): string {
  const asked = new URLSearchParams({ limit: String(PAGE_ROWS) });
  const find = (query.get('find') ?? '').trim().slice(0, MAX_FIND);
  if (find !== '') asked.set('find', find);
  for (const name of FILTERS) {
    const value = (query.get(name) ?? '').trim();
    if (value !== '') asked.set(name, value);
  }
  return `/v1/guests?${asked.toString()}`;
}

/** Whether the query leaves out any guest. */
export function isFiltered(query: URLSearchParams): boolean {
  return ['find', ...FILTERS].some((name) => name !== 'cursor' && (query.get(name) ?? '') !== '');
}

/** `1.5 of 4 vCPUs`, `0.2 cores` if it is not known how many it has, and a dash if nothing reports it. */
export function usedText(cores: number | undefined, vcpus: number | undefined): string {
  if (cores === undefined) return '–';
  const used = cores >= 10 ? cores.toFixed(0) : cores.toFixed(1);
  return vcpus === undefined ? `${used} cores` : `${used} of ${vcpus} vCPUs`;
}
