import path from 'node:path';
import { SyncedLines } from '../../system/files/synced-lines.ts';
import { hostName, migrationId } from '../../protocol/names.ts';

/** Ids per host, and in all. About 40 bytes each on disk. */
const MAX_EACH = 16_384;
const MAX = 131_072;
const FILE = 'pruned-migrations';

export interface PrunedMigration {
  readonly id: string;
  readonly host: string;
}

/**
 * Ids of removed migrations. None may be used again: a host could otherwise replace a history that others rely on.
 * Keeps the newest of each host, so that no host can evict another's.
 */
export class PrunedMigrations {
  readonly #file: SyncedLines;
  readonly #kept = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #most: { readonly ofOne: number; readonly all: number };

  constructor(stateDir: string, most = { ofOne: MAX_EACH, all: MAX }) {
    this.#file = new SyncedLines(path.join(stateDir, FILE));
    this.#most = most;
    for (const line of this.#file.read()) {
      const [host = '', id = ''] = line.split(' ');
      if (hostName.safeParse(host).success && migrationId.safeParse(id).success)
        this.#add(id, host);
    }
  }

  has(id: string): boolean {
    return this.#kept.has(id);
  }

  /** The ids are on the disk when this returns; only then may their directories be removed. */
  remember(all: readonly PrunedMigration[]): void {
    if (all.length === 0) return;
    for (const { id, host } of all) this.#add(id, host);
    if (this.#file.count + all.length > 2 * this.#most.all)
      this.#file.writeAnew([...this.#kept].map(([id, host]) => `${host} ${id}`));
    else this.#file.append(all.map(({ id, host }) => `${host} ${id}`));
  }

  #add(id: string, host: string): void {
    if (this.#kept.has(id)) return;
    this.#kept.set(id, host);
    const count = (this.#counts.get(host) ?? 0) + 1;
    this.#counts.set(host, count);
    if (count > this.#most.ofOne) this.#forgetOldest(host);
    if (this.#kept.size > this.#most.all) this.#forgetOldest(this.#largest());
  }

  #largest(): string {
    let [largest, most] = ['', 0];
    for (const [host, count] of this.#counts) if (count > most) [largest, most] = [host, count];
    return largest;
  }

  #forgetOldest(host: string): void {
    for (const [id, whose] of this.#kept) {
      if (whose !== host) continue;
      this.#kept.delete(id);
      this.#counts.set(host, (this.#counts.get(host) ?? 1) - 1);
      return;
    }
  }
}
