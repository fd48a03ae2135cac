import { watch, type FSWatcher } from 'node:fs';
import path from 'node:path';
import { isMissing } from '../../host/guest-logs.ts';

/**
 * Directories in which the kernel reported a change, each once until `has` is called again: a directory that is written
 * all the time costs one read per call.
 */
export class ChangedDirectories {
  readonly #watched = new Map<string, FSWatcher>();
  readonly #missing = new Map<string, FSWatcher>();
  #changes = 0;

  get changes(): number {
    return this.#changes;
  }

  /**
   * Tells whether the directory may have changed since the last call, and watches it from now on: read it after this
   * call.
   */
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
      // The parent changes when the directory appears. A directory that cannot be watched is read each time.
      if (!isMissing(err) || above === undefined) return true;
      this.#missing.set(directory, above);
      return false;
    }
  }

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
