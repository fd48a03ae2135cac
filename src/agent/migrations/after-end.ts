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
  readonly file: string;
  readonly schema: z.ZodType<State>;
  /** State for an unreadable file; absent: as for a missing file. */
  readonly unreadable?: () => State;
}

/** Work of the agent after migrations have ended: a check of each one every second, until nothing is left to do. */
export abstract class AfterEnd<State> {
  readonly #deps: AfterEndDependencies<State>;
  readonly #over = new AbortController();
  readonly #states = new Map<string, State>();
  readonly #settled = new Set<string>();
  readonly #busy = new Map<string, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: AfterEndDependencies<State>) {
    this.#deps = deps;
  }

  protected abstract advance(migration: Migration, signal: AbortSignal): Promise<'more' | 'over'>;

  start(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#over.abort(new Error('the agent is stopping'));
    await Promise.all(this.#busy.values());
  }

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
    if (this.#settled.size > all.length) {
      this.#settled.clear();
      this.#states.clear();
    }
  }

  async idle(id: string): Promise<void> {
    await this.#busy.get(id);
  }

  stateOf({ id, dir }: Pick<Migration, 'id' | 'dir'>): State | undefined {
    const known = this.#states.get(id) ?? this.#read(id, path.join(dir, this.#deps.file));
    if (known !== undefined) this.#states.set(id, known);
    return known;
  }

  /** Throws if the state cannot be written; the previous state then stays in force. */
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
