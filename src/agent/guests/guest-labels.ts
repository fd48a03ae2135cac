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

/** Size of all labels as JSON. One guest has at most 75 KiB. */
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_BYTES_OF_ONE = 75 * 1024;
/** Guests of other hosts with larger labels may use only half of the room. */
const MAX_BYTES_OF_SMALL = 2048;
const MAX_BYTES_WITH_LARGE = MAX_BYTES / 2;
const FOLD_MS = 10_000;

/** The guests of this host now; undefined if some may be missing, so that any guest may be here. */
export type Present = ReadonlySet<string> | undefined;

export type Arrival = 'arrived' | 'stayed-away' | 'open';

/**
 * Labels of this host's guests, kept on disk. Labels that a guest brings stay provisional until it runs here, so a host
 * that sends no guest cannot change labels.
 */
export class HostLabels {
  readonly #files: LabelFiles;
  readonly #arrival: (migration: string) => Arrival;
  #kept: ReadonlyMap<string, GuestLabels>;
  #expected: readonly ExpectedLabels[];

  /**
   * `arrival` reports the outcome of a migration to this host; an unknown one never began. GODWIT_CONFIG if the file is
   * damaged: a lost `never-move` label must not go unnoticed.
   */
  constructor(stateDir: string, arrival: (migration: string) => Arrival) {
    this.#files = new LabelFiles(stateDir);
    this.#arrival = arrival;
    const { kept, expected } = this.#files.read();
    this.#kept = kept;
    this.#expected = expected;
  }

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

  /** Tells whether another guest can be labelled only if absent guests lose their labels. */
  isFull(): boolean {
    const count = this.#kept.size + this.#expected.length;
    return (
      count >= MAX || bytesIn(this.#kept, this.#expected) >= MAX_BYTES_WITH_LARGE - MAX_BYTES_OF_ONE
    );
  }

  of(guest: string): GuestLabels | undefined {
    this.#settle();
    return this.#kept.get(guest);
  }

  /**
   * Changes the guest's labels durably. GODWIT_USAGE for invalid labels, GODWIT_LABELS_FULL if there is no room.
   * `here`: see Present.
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
   * Reserves room for the labels that a guest brings. Undefined keeps its labels here. GODWIT_LABELS_FULL if there is
   * no room.
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

/** Labels are never changed in place, so each object is serialized once. */
const sizes = new WeakMap<GuestLabels, number>();

function bytesOf(labels: GuestLabels): number {
  const bytes = sizes.get(labels) ?? Buffer.byteLength(JSON.stringify(labels));
  sizes.set(labels, bytes);
  return bytes;
}
