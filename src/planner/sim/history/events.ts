/** What befalls hosts and guests while a history is replayed. Pure. */
import { readTable } from './table.ts';

/**
 * `fail`: the host is dead, with its guests, until it is back. `drain`: it is to be empty, until it is open. `silent`: it
 * runs, and reports nothing until it is heard. `restart`: nobody plans until the next look but one.
 */
const OF_HOSTS = ['fail', 'back', 'drain', 'open', 'silent', 'heard'] as const;
/** What a guest's sensor reports in place of what the guest uses, until it tells the truth. */
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

/** What the sensor reports; undefined for the truth. */
export const lieOf = (kind: keyof typeof LIES | 'tells'): number | undefined =>
  kind === 'tells' ? undefined : LIES[kind];

const isOfHosts = (word: string): word is (typeof OF_HOSTS)[number] =>
  OF_HOSTS.some((each) => each === word);
const isOfGuests = (word: string): word is (typeof OF_GUESTS)[number] =>
  OF_GUESTS.some((each) => each === word);

export interface Names {
  readonly hosts: ReadonlySet<string>;
  readonly guests: ReadonlySet<string>;
  /** The first time of the load, from which others are counted, s. */
  readonly first: number;
}

/** The rows of an `events.csv`, in order of time. Throws a TableError. */
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
