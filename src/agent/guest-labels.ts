import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../errors.ts';
import { syncDirectory } from '../host/journal-file.ts';
import { labels as labelsShape } from '../protocol/labels.ts';
import type { GuestLabels, LabelsChange } from '../protocol/labels.ts';
import { readLabels } from '../protocol/label-rules.ts';
import { guestName } from '../protocol/names.ts';

/** Guests whose labels are kept, those that are gone included; the one that was labelled longest ago goes first. */
const MOST = 10_000;
/** In stateDir. */
const FILE = 'guest-labels.json';
const kept = z.array(z.tuple([guestName, labelsShape])).max(MOST);

/**
 * What people said of the guests of this host, by name, kept on its disk. A guest takes its labels along: its destination is
 * told them when it is asked to let it in.
 */
export class HostLabels {
  readonly #file: string;
  readonly #all: Map<string, GuestLabels>;

  /** GODWIT_CONFIG where its file is no longer what it was: labels that say `never-move` are not forgotten silently. */
  constructor(stateDir: string) {
    this.#file = path.join(stateDir, FILE);
    this.#all = new Map(existsSync(this.#file) ? readKept(this.#file) : []);
  }

  /** Undefined where it has none. */
  of(guest: string): GuestLabels | undefined {
    return this.#all.get(guest);
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
    if ('words' in judged) throw godwitError('GODWIT_USAGE', { what: judged.words });
    this.#keep(guest, next);
    return next;
  }

  /** A guest comes with these. Its source checked them; one that makes no sense keeps the guest from being moved on. */
  came(guest: string, labels: GuestLabels | undefined): void {
    const isNews = JSON.stringify(labels ?? {}) !== JSON.stringify(this.of(guest) ?? {});
    if (labels !== undefined && isNews) this.#keep(guest, labels);
  }

  #keep(guest: string, labels: GuestLabels): void {
    const all = new Map(this.#all);
    all.delete(guest);
    if (Object.keys(labels).length > 0) all.set(guest, labels);
    const [oldest] = all.keys();
    if (all.size > MOST && oldest !== undefined) all.delete(oldest);
    const text = `${JSON.stringify([...all])}\n`;
    writeFileSync(`${this.#file}.tmp`, text, { mode: 0o600, flush: true });
    renameSync(`${this.#file}.tmp`, this.#file);
    syncDirectory(path.dirname(this.#file));
    this.#all.clear();
    for (const [name, each] of all) this.#all.set(name, each);
  }
}

function readKept(file: string): z.infer<typeof kept> {
  try {
    return kept.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    const hint = 'Repair it, or remove it and label the guests again.';
    throw godwitError(
      'GODWIT_CONFIG',
      { file, what: 'holds no labels of guests' },
      { cause, hint },
    );
  }
}
