import { DEFAULT_PAGE_BYTES, MAX_BLOCKS, MAX_SECTIONS, RAM_SECTION } from './format.ts';
import type { RamBlock } from './types.ts';

/** Common state of a migration's channels: the main channel sets it, the others use it. */
export class StreamContext {
  pageBytes = DEFAULT_PAGE_BYTES;
  #blocks: RamBlock[] = [];
  #byName = new Map<string, RamBlock>();
  readonly #sections = new Map<number, string>();
  /** Section with guest memory; undefined before its start. */
  ramSection: number | undefined;

  get blocks(): readonly RamBlock[] {
    return this.#blocks;
  }

  setBlocks(blocks: RamBlock[]): void {
    this.#blocks = blocks.slice(0, MAX_BLOCKS);
    this.#byName = new Map(this.#blocks.map((block) => [block.name, block]));
  }

  block(name: string): RamBlock | undefined {
    return this.#byName.get(name);
  }

  /** True if the page at `address` is in `block` and aligned. */
  holds(block: RamBlock, address: number): boolean {
    return address % this.pageBytes === 0 && address + this.pageBytes <= block.usedBytes;
  }

  /** Start of an iterable section, whose parts have only its id. */
  openSection(id: number, name: string): void {
    if (name === RAM_SECTION.name) this.ramSection = id;
    if (this.#sections.size < MAX_SECTIONS || this.#sections.has(id)) this.#sections.set(id, name);
  }

  sectionName(id: number): string | undefined {
    return this.#sections.get(id);
  }
}
