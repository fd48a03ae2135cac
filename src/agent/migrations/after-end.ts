import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import { toGodwitError } from '../../errors.ts';
import { writeWhole } from '../../system/files/whole-file.ts';
import type { Log } from '../../log.ts';
import type { Migration, MigrationStore } from './store.ts';

const LOOK_MS = 1000;

export interface AfterEndDependencies<State> {
  readonly log: Log;
  readonly store: Pick<MigrationStore, 'all'>;
  /** The state's file in a migration's directory, and what it holds. */
  readonly file: string;
  readonly schema: z.ZodType<State>;
  /** What stands for a file that cannot be read; absent: as if there were none. */
  readonly unreadable?: () => State;
}

/** What an agent still does about migrations once they have ended: a look at each every second, until nothing is left. */
export abstract class AfterEnd<State> {
  readonly #deps: AfterEndDependencies<State>;
  readonly #over = new AbortController();
  readonly #states = new Map<string, State>();
  /** Migrations about which nothing is left to do. */
  readonly #settled = new Set<string>();
  /** What is being done for each. */
  readonly #busy = new Map<string, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: AfterEndDependencies<State>) {
    this.#deps = deps;
  }

  /** Does what is due for one migration now. What it throws is logged, and it is called again at the next look. */
  protected abstract advance(migration: Migration, signal: AbortSignal): Promise<'more' | 'over'>;

  start(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  /** Ends what is under way; whoever starts the agent again goes on. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#over.abort(new Error('the agent is stopping'));
    await Promise.all(this.#busy.values());
  }

  /** Does for each migration what is due now; resolves once that is done. */
  async look(): Promise<void> {
    if (this.#over.signal.aborted) return;
    const all = this.#deps.store.all();
    for (const migration of all) {
      const { id } = migration;
      if (this.#settled.has(id) || this.#busy.has(id)) continue;
      this.#busy.set(
        id,
        this.#advance(migration).finally(() => this.#busy.delete(id)),
      );
    }
    await Promise.all(this.#busy.values());
    // Some were pruned. What is known lies on the disk, and is read again.
    if (this.#settled.size > all.length) {
      this.#settled.clear();
      this.#states.clear();
    }
  }

  /** Resolves once what is being done for it now is done. */
  async idle(id: string): Promise<void> {
    await this.#busy.get(id);
  }

  /** Undefined where nothing is known of it yet. */
  stateOf({ id, dir }: Pick<Migration, 'id' | 'dir'>): State | undefined {
    const known = this.#states.get(id) ?? this.#read(id, path.join(dir, this.#deps.file));
    if (known !== undefined) this.#states.set(id, known);
    return known;
  }

  /** Throws where it cannot be written: then the state before it holds. */
  keep({ id, dir }: Migration, state: State): void {
    writeWhole(path.join(dir, this.#deps.file), `${JSON.stringify(state)}\n`);
    this.#states.set(id, state);
  }

  async #advance(migration: Migration): Promise<void> {
    const { id } = migration;
    const { signal } = this.#over;
    try {
      if ((await this.advance(migration, signal)) === 'more') return;
      this.#settled.add(id);
      this.#states.delete(id);
    } catch (error) {
      if (signal.aborted) return;
      const { log, file } = this.#deps;
      log.error({ id, error: toGodwitError(error) }, `${file} cannot be continued`);
    }
  }

  #read(id: string, file: string): State | undefined {
    if (!existsSync(file)) return undefined;
    const { log, schema, unreadable } = this.#deps;
    try {
      return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
    } catch (error) {
      log.error({ id, error: toGodwitError(error) }, `${file} cannot be read`);
      return unreadable?.();
    }
  }
}
