import type { FarContents, NearContents } from '../codec/contents.ts';
import { NameTable } from './name-table.ts';
import type { Scope } from './scope.ts';
import type { Store } from './store.ts';
import type { Summary } from './summary.ts';

/** Names of what was sent that are remembered: 4 GiB of pages in about 50 MB. */
const MOST_SENT = 1_000_000;

/** The cache as the encoder sees it: what the far side said that it has, and what it was sent since. */
export class NearCache implements NearContents {
  readonly #store: Store;
  readonly #scope: Scope;
  readonly #far: Summary;
  #sent = new NameTable();

  constructor(store: Store, scope: Scope, far: Summary) {
    this.#store = store;
    this.#scope = scope;
    this.#far = far;
  }

  nameOf(page: Uint8Array): Buffer {
    return this.#scope.nameOf(page);
  }

  farHas(name: Uint8Array): boolean {
    return this.#far.has(name) || this.#sent.get(name) !== undefined;
  }

  baseOf(): undefined {
    return undefined;
  }

  read(name: Uint8Array): Uint8Array | undefined {
    return this.#store.read(name);
  }

  left(page: Uint8Array, name: Uint8Array): void {
    this.#store.insert(name, page);
    if (this.#sent.size >= MOST_SENT) this.#sent = new NameTable();
    this.#sent.set(name, { file: 0, page: 0 });
  }
}

/** The cache as the decoder sees it. A content is kept under the name that this side gives it, never a peer. */
export class FarCache implements FarContents {
  readonly #store: Store;
  readonly #scope: Scope;

  constructor(store: Store, scope: Scope) {
    this.#store = store;
    this.#scope = scope;
  }

  read(name: Uint8Array): Uint8Array | undefined {
    return this.#store.read(name);
  }

  baseOf(): undefined {
    return undefined;
  }

  arrived(page: Uint8Array): void {
    this.#store.insert(this.#scope.nameOf(page), page);
  }
}
