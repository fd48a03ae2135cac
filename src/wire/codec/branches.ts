import { readFileSync } from 'node:fs';
import { PAGE_BYTES } from './item.ts';

/** The functions of branches.as.ts, which says what they do. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly pageAt: () => number;
  readonly looksLikeCode: () => number;
  readonly makeAbsolute: (place: number) => void;
  readonly makeRelative: (place: number) => void;
}

/** The part of the engine's WebAssembly that is used; Node's types do not have it. */
interface Engine {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: Engine };

/** Operands have 25 bits, and a place may be above 2^32. */
const PLACES = 2 ** 25;

let compiled: object | undefined;

/** Calls and jumps in a page of x86-64 code, written as the place of their target and back (branches.as.ts). */
export class Branches {
  /** The page that the calls look at and change; part of the module's memory. */
  readonly page: Uint8Array;
  readonly #exports: Exports;

  constructor() {
    // `npm run setup` makes it; a package has it.
    compiled ??= new WebAssembly.Module(readFileSync(new URL('branches.wasm', import.meta.url)));
    this.#exports = new WebAssembly.Instance(compiled).exports as Exports;
    const { memory, pageAt } = this.#exports;
    this.page = new Uint8Array(memory.buffer, pageAt(), PAGE_BYTES);
  }

  looksLikeCode(): boolean {
    return this.#exports.looksLikeCode() === 1;
  }

  /** Makes operands absolute; the page lies at `place` (bytes). */
  makeAbsolute(place: number): void {
    this.#exports.makeAbsolute(place % PLACES);
  }

  /** The other way. */
  makeRelative(place: number): void {
    this.#exports.makeRelative(place % PLACES);
  }
}
