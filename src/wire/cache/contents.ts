import type { FarContents, NearContents } from '../codec/contents.ts';
import { NameTable } from './name-table.ts';
import type { Places } from './places.ts';
import type { Scope } from './scope.ts';
import type { Store } from './store.ts';
import type { Summary } from './summary.ts';

/**
 * Limit of remembered sent names besides the store's: 1 GiB of pages in at most 13 MB. These pages were already
 * in the store, or the store rejects them because its disk is full.
 */
const MAX_SENT = 2 ** 18;

/** The far side's summary is dropped after this many missing names, and one in MISSED_OF. */
const MISSED = 64;
const MISSED_OF = 4;

/**
 * Encoder's view of the cache: contents that the far side reported or has been sent. These are contents that
 * this side's store has taken since; contents evicted here are most likely evicted there.
 */
export class NearCache implements NearContents {
  readonly #store: Store;
  readonly #scope: Scope;
  /** Undefined once too many names were missing: new contents may have replaced them in the far side's cache. */
  #far: Summary | undefined;
  readonly #places: Places;
  #sent = new NameTable();
  #referred = 0;
  #missed = 0;

  constructor(store: Store, scope: Scope, far: Summary, places: Places) {
    this.#store = store;
    this.#scope = scope;
    this.#far = far;
    this.#places = places;
  }

  nameOf(page: Uint8Array): Buffer {
    return this.#scope.nameOf(page);
  }

  farHas(name: Uint8Array): boolean {
    return (
      this.#far?.has(name) === true || this.#store.isNew(name) || this.#sent.get(name) !== undefined
    );
  }

  baseOf(block: number, page: number): Uint8Array | undefined {
    return this.#places.get(block, page);
  }

  placed(block: number, page: number, name: Uint8Array): void {
    this.#places.set(block, page, name);
  }

  read(name: Uint8Array): Uint8Array | undefined {
    return this.#store.read(name);
  }

  left(page: Uint8Array, name: Uint8Array, whole: boolean): void {
    this.#store.insert(name, page);
    if (!whole) this.#referred += 1;
    if (!whole || this.#store.isNew(name)) return;
    if (this.#sent.size >= MAX_SENT) this.#sent = new NameTable();
    this.#sent.set(name, { file: 0, page: 0 });
  }

  missed(count: number): void {
    this.#missed += count;
    if (this.#missed >= MISSED && this.#missed * MISSED_OF > this.#referred) this.#far = undefined;
  }
}

/** Decoder's view of the cache. Contents are stored under this side's names, never a peer's. */
export class FarCache implements FarContents {
  readonly #store: Store;
  readonly #scope: Scope;
  readonly #places: Places;

  constructor(store: Store, scope: Scope, places: Places) {
    this.#store = store;
    this.#scope = scope;
    this.#places = places;
  }

  read(name: Uint8Array, into: Buffer): Uint8Array | undefined {
    return this.#store.read(name, into);
  }

  baseOf(block: number, page: number): Uint8Array | undefined {
    return this.#places.get(block, page);
  }

  placed(block: number, page: number, name: Uint8Array): void {
    this.#places.set(block, page, name);
  }

  arrived(page: Uint8Array): Uint8Array {
    const name = this.#scope.nameOf(page);
    this.#store.insert(name, page);
    return name;
  }
}
