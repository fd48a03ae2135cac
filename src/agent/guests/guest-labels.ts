import type { Clock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { Poller } from '../../poller.ts';
import {
  labels as labelsShape,
  type GuestLabels,
  type LabelsChange,
} from '../../protocol/labels.ts';
import { LABELS_HINT, readLabels } from '../../protocol/label-rules.ts';
import {
  LabelFiles,
  MAX_LABELLED as MAX,
  withLabels,
  type ExpectedLabels,
  type KeptLabels,
} from './label-files.ts';

/** JSON of all labels together. One guest's labels are 75 KiB at most. */
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_BYTES_OF_ONE = 75 * 1024;
/** Another host's guests with more than this leave the second half of the room: a few hundred of them would fill all of it. */
const MAX_BYTES_OF_SMALL = 2048;
const MAX_BYTES_WITH_LARGE = MAX_BYTES / 2;
/** The whole file is written this often if labels have changed, ms: some 1.6 MB a second at most. */
const FOLD_MS = 10_000;

/** The guests of this host now; undefined if some may be missing, so that any guest may be here. */
export type Present = ReadonlySet<string> | undefined;

/** What became of a guest that was let in: it runs here, it never will by this migration, or that is open. */
export type Arrival = 'arrived' | 'stayed-away' | 'open';

/**
 * What people said of the guests of this host, by name, kept on its disk. A guest takes its labels along: its destination
 * gets them when it is asked to let it in. They are expected until it runs here: a host that only asks, and never sends
 * a guest, changes no labels and has none forgotten.
 */
export class HostLabels {
  readonly #files: LabelFiles;
  readonly #arrival: (migration: string) => Arrival;
  #kept: ReadonlyMap<string, GuestLabels>;
  /** By migration. There are no more than migrations to this host that go on. */
  #expected: readonly ExpectedLabels[];

  /**
   * `arrival`: the outcome of a migration to this host; an unknown migration has never begun. GODWIT_CONFIG if the file is
   * damaged: a label `never-move` is not forgotten silently.
   */
  constructor(stateDir: string, arrival: (migration: string) => Arrival) {
    this.#files = new LabelFiles(stateDir);
    this.#arrival = arrival;
    const { kept, expected } = this.#files.read();
    this.#kept = kept;
    this.#expected = expected;
  }

  /** Keeps the log of changes short until what it returns is called. Nothing is labelled after that. */
  start({ clock, log }: { readonly clock: Clock; readonly log: Log }): () => Promise<void> {
    const looks = new Poller({ clock, log });
    looks.start(FOLD_MS, () => this.#files.fold(this.#all()), 'labels were not written');
    return async () => {
      await looks.close();
      try {
        this.#files.close(this.#all());
      } catch (err) {
        log.warn({ err }, 'labels kept in their log, which an earlier build cannot read');
      }
    };
  }

  /** Whether labels of absent guests must give way before another guest is labelled. */
  isFull(): boolean {
    const count = this.#kept.size + this.#expected.length;
    return (
      count >= MAX || bytesIn(this.#kept, this.#expected) >= MAX_BYTES_WITH_LARGE - MAX_BYTES_OF_ONE
    );
  }

  /** Undefined where it has none. */
  of(guest: string): GuestLabels | undefined {
    this.#settle();
    return this.#kept.get(guest);
  }

  /**
   * The guest's labels from now on; on the disk when this returns. GODWIT_USAGE for labels that make no sense,
   * GODWIT_LABELS_FULL if this host has no room for them. `here`: see Present.
   */
  change(guest: string, { set, remove }: LabelsChange, here?: Present): GuestLabels {
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
    this.#keep(guest, next, here);
    return next;
  }

  /**
   * A guest may come with these, by a migration that is about to be begun. Its source checked them; one that makes no
   * sense keeps the guest from being moved on. Undefined: the labels that it has here stay. GODWIT_LABELS_FULL if this host
   * has no room for them; from here on their room is kept until the migration ends.
   */
  expect(migration: string, guest: string, labels: GuestLabels | undefined, here?: Present): void {
    this.#settle();
    const isNews = Object.keys(labels ?? {}).length > 0 || this.#kept.has(guest);
    if (labels === undefined || !isNews) return;
    const expects = [...this.#expected, [migration, guest, labels] satisfies ExpectedLabels];
    const maxBytes = bytesOf(labels) > MAX_BYTES_OF_SMALL ? MAX_BYTES_WITH_LARGE : MAX_BYTES;
    this.#write(this.#withRoom(guest, this.#kept, expects, { here, maxBytes }), expects);
  }

  #keep(guest: string, labels: GuestLabels, here: Present): void {
    const next = withLabels(this.#kept, guest, labels);
    const isLess = bytesOf(labels) <= bytesOf(this.#kept.get(guest) ?? {});
    const isKnown = this.#kept.has(guest);
    const room = { here, maxBytes: MAX_BYTES };
    const kept = isLess && isKnown ? next : this.#withRoom(guest, next, this.#expected, room);
    this.#write(kept, this.#expected);
  }

  /**
   * The labels that stay so that `wanted` fits: absent guests lose theirs, the guest labelled longest ago first. A present
   * guest, or one on its way here, never loses any. GODWIT_LABELS_FULL if that is not enough.
   */
  #withRoom(
    guest: string,
    wanted: ReadonlyMap<string, GuestLabels>,
    expects: readonly ExpectedLabels[],
    { here, maxBytes }: { readonly here: Present; readonly maxBytes: number },
  ): ReadonlyMap<string, GuestLabels> {
    let bytes = bytesIn(wanted, expects);
    const isFull = (count: number): boolean => count + expects.length > MAX || bytes > maxBytes;
    if (!isFull(wanted.size)) return wanted;
    const kept = new Map(wanted);
    for (const [name, labels] of wanted) {
      if (!isFull(kept.size)) break;
      if (here === undefined || here.has(name) || name === guest) continue;
      kept.delete(name);
      bytes -= bytesOf(labels);
    }
    if (!isFull(kept.size)) return kept;
    const limit = `labels of ${MAX} guests and ${maxBytes} bytes`;
    const why =
      here === undefined ? 'has not listed all of its guests yet' : 'all of these guests are here';
    throw godwitError('GODWIT_LABELS_FULL', { guest, what: `it keeps ${limit}, and ${why}` });
  }

  /** Labels of guests that have arrived are theirs, and those of guests that will not are forgotten. */
  #settle(): void {
    if (this.#expected.length === 0) return;
    const open: ExpectedLabels[] = [];
    let now = this.#kept;
    for (const each of this.#expected) {
      const [migration, guest, labels] = each;
      const arrival = this.#arrival(migration);
      if (arrival === 'open') open.push(each);
      if (arrival === 'arrived') now = withLabels(now, guest, labels);
    }
    if (open.length < this.#expected.length) this.#write(now, open);
  }

  #all(): KeptLabels {
    return { kept: this.#kept, expected: this.#expected };
  }

  /** A label is on the disk before it counts. */
  #write(now: ReadonlyMap<string, GuestLabels>, open: readonly ExpectedLabels[]): void {
    this.#files.write(this.#all(), { kept: now, expected: open });
    this.#kept = now;
    this.#expected = open;
  }
}

function bytesIn(
  kept: ReadonlyMap<string, GuestLabels>,
  expects: readonly ExpectedLabels[],
): number {
  const all = [...kept.values(), ...expects.map(([, , labels]) => labels)];
  return all.reduce((sum, labels) => sum + bytesOf(labels), 0);
}

/** Labels are never changed in place, so each is made text once. */
const sizes = new WeakMap<GuestLabels, number>();

function bytesOf(labels: GuestLabels): number {
  const bytes = sizes.get(labels) ?? Buffer.byteLength(JSON.stringify(labels));
  sizes.set(labels, bytes);
  return bytes;
}
