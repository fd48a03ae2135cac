import type { Selectable } from 'kysely';
import { z } from 'zod';
import { godwitError } from '../../errors.ts';
import {
  managerPlace,
  MAX_MANAGERS,
  type ManagerPlace,
} from '../../protocol/controller/managers.ts';
import type { Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import type { KeyRing, SealedSecret } from './seal.ts';

export interface KeptManager {
  readonly name: string;
  readonly place: ManagerPlace;
  readonly createdAtMs: number;
  readonly createdBy: string;
}

/** A password is sealed together with its place, and opened for no other. */
export class ManagerStore {
  readonly #store: Store;
  readonly #keys: KeyRing;

  constructor(store: Store, keys: KeyRing) {
    this.#store = store;
    this.#keys = keys;
  }

  async list(): Promise<KeptManager[]> {
    const rows = await this.#store.db
      .selectFrom('managers')
      .selectAll()
      .orderBy('name')
      .limit(MAX_MANAGERS)
      .execute();
    return rows.map(keptOf);
  }

  async find(name: string): Promise<KeptManager> {
    return keptOf(await this.#row(name));
  }

  /** GODWIT_MANAGER_KEY if the key is not the one that sealed it. */
  async password(name: string): Promise<string> {
    const row = await this.#row(name);
    return this.#keys.open(sealedOf(row), aboutOf(row));
  }

  /** GODWIT_MANAGER_TAKEN, GODWIT_OVERLOADED. */
  async add(name: string, place: ManagerPlace, password: string, by: string): Promise<void> {
    const { nowMs } = this.#store;
    const body = JSON.stringify(place);
    const { key, box } = this.#keys.seal(password, aboutOf({ name, body }));
    await this.#store.transaction(async (db) => {
      const names = await db.selectFrom('managers').select('name').execute();
      if (names.some((each) => each.name === name))
        throw godwitError('GODWIT_MANAGER_TAKEN', { name });
      if (names.length >= MAX_MANAGERS)
        throw godwitError(
          'GODWIT_OVERLOADED',
          { what: 'the list of managers', limit: MAX_MANAGERS },
          {
            hint: 'Remove some that are not used: `godwit manager list`, `godwit manager remove NAME`.',
          },
        );
      const made = { created_at: nowMs, created_by: by };
      await db
        .insertInto('managers')
        .values({ name, body, secret_key: key, secret: box, ...made })
        .execute();
    });
  }

  async remove(name: string): Promise<void> {
    const gone = await this.#store.transaction((db) =>
      db.deleteFrom('managers').where('name', '=', name).executeTakeFirst(),
    );
    if (gone.numDeletedRows === 0n) throw godwitError('GODWIT_MANAGER_UNKNOWN', { manager: name });
  }

  /** Seals every password under a new key; returns their number. */
  rotate(): Promise<number> {
    return this.#keys.exchange(() =>
      this.#store.transaction(async (db) => {
        const rows = await db.selectFrom('managers').selectAll().execute();
        for (const row of rows) {
          const about = aboutOf(row);
          const { key, box } = this.#keys.seal(this.#keys.open(sealedOf(row), about), about);
          await db
            .updateTable('managers')
            .set({ secret_key: key, secret: box })
            .where('name', '=', row.name)
            .execute();
        }
        return rows.length;
      }),
    );
  }

  async #row(name: string): Promise<Selectable<Tables['managers']>> {
    const { db } = this.#store;
    const found = db.selectFrom('managers').selectAll().where('name', '=', name);
    const row = await found.executeTakeFirst();
    if (row === undefined) throw godwitError('GODWIT_MANAGER_UNKNOWN', { manager: name });
    return row;
  }
}

function keptOf(row: Selectable<Tables['managers']>): KeptManager {
  const { name, body, created_at: createdAtMs, created_by: createdBy } = row;
  return { name, place: managerPlace.parse(JSON.parse(body)), createdAtMs, createdBy };
}

function sealedOf({ secret_key: key, secret: box }: Selectable<Tables['managers']>): SealedSecret {
  return { key, box };
}

/** A user who can write to the database cannot redirect a password to another address. */
function aboutOf({ name, body }: { readonly name: string; readonly body: string }): string {
  return JSON.stringify([name, z.json().parse(JSON.parse(body))]);
}
