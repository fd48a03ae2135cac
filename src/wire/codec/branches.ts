import { readFileSync } from 'node:fs';
import { PAGE_BYTES } from './item.ts';

/** Functions of branches.as.ts, which documents them. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly pageAt: () => number;
  readonly looksLikeCode: () => number;
  readonly makeAbsolute: (place: number) => void;
  readonly makeRelative: (place: number) => void;
}

/** Used part of the engine's WebAssembly; Node's types lack it. */
interface Engine {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: Engine };

/** Operands have 25 bits, and a place may exceed 2^32. */
const PLACES = 2 ** 25;

let compiled: object | undefined;

/** Converts calls and jumps in an x86-64 page between relative and absolute targets (branches.as.ts). */
export class Branches {
  readonly page: Uint8Array;
  readonly #exports: Exports;

  constructor() {
    // Built by `npm run setup`, and included in packages.
    compiled ??= new WebAssembly.Module(readFileSync(new URL('branches.wasm', import.meta.url)));
    this.#exports = new WebAssembly.Instance(compiled).exports as Exports;
    const { memory, pageAt } = this.#exports;
    this.page = new Uint8Array(memory.buffer, pageAt(), PAGE_BYTES);
  }

  looksLikeCode(): boolean {
    return this.#exports.looksLikeCode() === 1;
  }

  /** Makes operands absolute for a page at `place` (bytes). */
  makeAbsolute(place: number): void {
    this.#exports.makeAbsolute(place % PLACES);
  }

  makeRelative(place: number): void {
    this.#exports.makeRelative(place % PLACES);
  }
}
