import type { FarContents, NearContents } from '../codec/contents.ts';
import { NameTable } from './name-table.ts';
import type { Places } from './places.ts';
import type { Scope } from './scope.ts';
import type { Store } from './store.ts';
import type { Summary } from './summary.ts';

/**
 * Names of what was sent that are remembered beside the store's: 1 GiB of pages in at most 13 MB. These are pages that
 * lay in the store before, or that it does not take, its disk being full.
 */
const MAX_SENT = 2 ** 18;

/** The far side's summary is worth nothing any more once so many names of it were missing, and one in so many. */
const MISSED = 64;
const MISSED_OF = 4;

/**
 * The cache as the encoder sees it: what the far side said that it has, and what it was sent since. That is what the store
 * here has taken since then: what left it, to keep its bound, has most likely left the far side's too.
 */
export class NearCache implements NearContents {
  readonly #store: Store;
  readonly #scope: Scope;
  /** Undefined once too much of it turned out to be gone: what arrives may have taken its place in the far side's cache. */
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

/** The cache as the decoder sees it. A content is kept under the name that this side gives it, never a peer. */
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
