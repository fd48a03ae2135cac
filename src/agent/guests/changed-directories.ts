import { watch, type FSWatcher } from 'node:fs';
import path from 'node:path';
import { isMissing } from '../../host/guest-logs.ts';

/**
 * Directories whose files are looked at again and again, and which of them the kernel has reported a change in. Each is
 * reported once until it is asked about again: one that is written to all the time costs no more than its looks.
 */
export class ChangedDirectories {
  readonly #watched = new Map<string, FSWatcher>();
  /** Directories that are not there, and what watched the one that they would be in: while it does, they have not come. */
  readonly #missing = new Map<string, FSWatcher>();
  #changes = 0;

  /** How many changes the kernel has reported. As long as it stays the same, so does what `has` says. */
  get changes(): number {
    return this.#changes;
  }

  /** Whether something may have changed there since the last time; from now on it is watched, so look after this. */
  has(directory: string): boolean {
    if (this.#watched.has(directory)) return false;
    const above = this.#watched.get(path.dirname(directory));
    if (above !== undefined && this.#missing.get(directory) === above) return false;
    this.#missing.delete(directory);
    try {
      const watcher = watch(directory, { persistent: false });
      const over = (): void => this.#drop(directory, watcher);
      watcher.on('change', over).on('error', over);
      this.#watched.set(directory, watcher);
      return true;
    } catch (err) {
      // Once it is there, the directory that it is in has changed. What cannot be watched is looked at each time.
      if (!isMissing(err) || above === undefined) return true;
      this.#missing.set(directory, above);
      return false;
    }
  }

  /** Watches only these from now on. */
  keep(directories: ReadonlySet<string>): void {
    for (const [directory, watcher] of this.#watched)
      if (!directories.has(directory)) this.#drop(directory, watcher);
    for (const directory of this.#missing.keys())
      if (!directories.has(directory)) this.#missing.delete(directory);
  }

  #drop(directory: string, watcher: FSWatcher): void {
    watcher.close();
    this.#changes += 1;
    if (this.#watched.get(directory) === watcher) this.#watched.delete(directory);
  }
}
