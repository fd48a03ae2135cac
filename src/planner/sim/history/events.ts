import { readTable } from './table.ts';

/**
 * `fail`: the host and its guests are down until `back`. `drain`: must be empty until `open`. `silent`: runs without
 * reports until `heard`. `restart`: no planning until the next look but one.
 */
const OF_HOSTS = ['fail', 'back', 'drain', 'open', 'silent', 'heard'] as const;
/** False values that a guest's sensor reports until `tells`. */
const LIES = {
  'lies-nan': Number.NaN,
  'lies-negative': -1,
  'lies-above': 1e9,
} as const;
const OF_GUESTS = [...Object.keys(LIES), 'tells'] as (keyof typeof LIES | 'tells')[];

export type SceneEvent =
  | { readonly at: number; readonly kind: (typeof OF_HOSTS)[number]; readonly host: string }
  | { readonly at: number; readonly kind: keyof typeof LIES | 'tells'; readonly guest: string }
  | { readonly at: number; readonly kind: 'restart' };

export const lieOf = (kind: keyof typeof LIES | 'tells'): number | undefined =>
  kind === 'tells' ? undefined : LIES[kind];

const isOfHosts = (word: string): word is (typeof OF_HOSTS)[number] =>
  OF_HOSTS.some((each) => each === word);
const isOfGuests = (word: string): word is (typeof OF_GUESTS)[number] =>
  OF_GUESTS.some((each) => each === word);

export interface Names {
  readonly hosts: ReadonlySet<string>;
  readonly guests: ReadonlySet<string>;
  /** First time of the load, the origin of others, s. */
  readonly first: number;
}

/** Parses `events.csv`, sorted by time. Throws a TableError. */
export function readEvents(text: string, { hosts, guests, first }: Names): SceneEvent[] {
  const events: SceneEvent[] = [];
  const columns = [
    { name: 'time', kind: 'number' },
    { name: 'event', kind: 'text' },
    { name: 'name', kind: 'text', optional: true },
  ] as const;
  readTable(text, 'events.csv', columns, (row, wrong) => {
    const at = Number(row['time']) - first;
    const word = String(row['event']);
    const name = String(row['name'] ?? '');
    if (word === 'restart') events.push({ at, kind: word });
    else if (isOfHosts(word)) {
      if (!hosts.has(name)) throw wrong('name', `expected a host of hosts.csv, got '${name}'`);
      events.push({ at, kind: word, host: name });
    } else if (isOfGuests(word)) {
      if (!guests.has(name)) throw wrong('name', `expected a guest of guests.csv, got '${name}'`);
      events.push({ at, kind: word, guest: name });
    } else {
      const words = [...OF_HOSTS, ...OF_GUESTS, 'restart'].join(', ');
      throw wrong('event', `expected one of ${words}, got '${word}'`);
    }
  });
  return events.toSorted((left, right) => left.at - right.at);
}
