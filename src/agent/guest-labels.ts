import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../errors.ts';
import { syncDirectory } from '../host/journal-file.ts';
import { writeWhole } from '../host/whole-file.ts';
import { labels as labelsShape } from '../protocol/labels.ts';
import type { GuestLabels, LabelsChange } from '../protocol/labels.ts';
import { LABELS_HINT, readLabels } from '../protocol/label-rules.ts';
import { guestName, migrationId } from '../protocol/names.ts';

/** Guests whose labels are kept, those that are gone included; the one that was labelled longest ago goes first. */
const MOST = 10_000;
/** In stateDir. */
const FILE = 'guest-labels.json';
const kept = z.array(z.tuple([guestName, labelsShape])).max(MOST);
const expected = z.array(z.tuple([migrationId, guestName, labelsShape]));
/** Earlier builds wrote only those of guests that are here. */
const written = z.union([
  kept.transform((all) => ({ kept: all, expected: [] })),
  z.strictObject({ kept, expected }),
]);
type Written = z.output<typeof written>;
type Expected = Written['expected'][number];

/** What became of a guest that was let in: it runs here, it never will by this migration, or that is open. */
export type Arrival = 'arrived' | 'stayed-away' | 'open';

/**
 * What people said of the guests of this host, by name, kept on its disk. A guest takes its labels along: its destination
 * gets them when it is asked to let it in. They are expected until it runs here: a host that only asks, and never sends
 * a guest, changes no labels and has none forgotten.
 */
export class HostLabels {
  readonly #file: string;
  readonly #arrival: (migration: string) => Arrival;
  #kept: ReadonlyMap<string, GuestLabels>;
  /** By migration. There are no more than migrations to this host that go on. */
  #expected: readonly Expected[];

  /**
   * `arrival`: what became of a migration to this host; one that is not known has never begun. GODWIT_CONFIG where the
   * file is no longer what it was: labels that say `never-move` are not forgotten silently.
   */
  constructor(stateDir: string, arrival: (migration: string) => Arrival) {
    this.#file = path.join(stateDir, FILE);
    this.#arrival = arrival;
    const read = existsSync(this.#file) ? readWritten(this.#file) : { kept: [], expected: [] };
    this.#kept = new Map(read.kept);
    this.#expected = read.expected;
  }

  /** Undefined where it has none. */
  of(guest: string): GuestLabels | undefined {
    this.#settle();
    return this.#kept.get(guest);
  }

  /** What it has from now on; on the disk when this returns. GODWIT_USAGE for what makes no sense, in words. */
  change(guest: string, { set, remove }: LabelsChange): GuestLabels {
    const next = { ...this.of(guest), ...set };
    for (const name of remove) delete next[name];
    const read = labelsShape.safeParse(next);
    if (!read.success) {
      throw godwitError('GODWIT_USAGE', { what: read.error.issues[0]?.message ?? 'no labels' });
    }
    const judged = readLabels(next);
    if ('words' in judged) {
      throw godwitError('GODWIT_USAGE', { what: judged.words }, { hint: LABELS_HINT });
    }
    this.#keep(guest, next);
    return next;
  }

  /**
   * A guest may come with these, by a migration that is about to be begun. Its source checked them; one that makes no
   * sense keeps the guest from being moved on. Undefined: those that it has here stay.
   */
  expect(migration: string, guest: string, labels: GuestLabels | undefined): void {
    this.#settle();
    const isNews = Object.keys(labels ?? {}).length > 0 || this.#kept.has(guest);
    if (labels === undefined || !isNews) return;
    this.#write(this.#kept, [...this.#expected, [migration, guest, labels]]);
  }

  #keep(guest: string, labels: GuestLabels): void {
    this.#write(withLabels(this.#kept, guest, labels), this.#expected);
  }

  /** Labels of guests that have arrived are theirs, and those of guests that will not are forgotten. */
  #settle(): void {
    if (this.#expected.length === 0) return;
    const open: Expected[] = [];
    let now = this.#kept;
    for (const each of this.#expected) {
      const [migration, guest, labels] = each;
      const arrival = this.#arrival(migration);
      if (arrival === 'open') open.push(each);
      if (arrival === 'arrived') now = withLabels(now, guest, labels);
    }
    if (open.length < this.#expected.length) this.#write(now, open);
  }

  /** A label is on the disk before it counts. */
  #write(now: ReadonlyMap<string, GuestLabels>, open: readonly Expected[]): void {
    if (now.size === 0 && open.length === 0) {
      rmSync(this.#file, { force: true });
      syncDirectory(path.dirname(this.#file));
    } else {
      writeWhole(this.#file, `${JSON.stringify({ kept: [...now], expected: open })}\n`);
    }
    this.#kept = now;
    this.#expected = open;
  }
}

/** Labelled last stands last. */
function withLabels(
  before: ReadonlyMap<string, GuestLabels>,
  guest: string,
  labels: GuestLabels,
): Map<string, GuestLabels> {
  const all = new Map(before);
  all.delete(guest);
  if (Object.keys(labels).length > 0) all.set(guest, labels);
  const [oldest] = all.keys();
  if (all.size > MOST && oldest !== undefined) all.delete(oldest);
  return all;
}

function readWritten(file: string): Written {
  try {
    return written.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    const hint = 'Repair it, or remove it and label the guests again.';
    throw godwitError(
      'GODWIT_CONFIG',
      { file, what: 'holds no labels of guests' },
      { cause, hint },
    );
  }
}
