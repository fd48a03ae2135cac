import { DEFAULT_PAGE_BYTES, MAX_BLOCKS, MAX_SECTIONS, RAM_SECTION } from './format.ts';
import type { RamBlock } from './types.ts';

/** What the channels of one migration know in common: the main channel learns it, the others use it. */
export class StreamContext {
  pageBytes = DEFAULT_PAGE_BYTES;
  #blocks: RamBlock[] = [];
  #byName = new Map<string, RamBlock>();
  readonly #sections = new Map<number, string>();
  /** The section that carries guest memory; undefined before its start was seen. */
  ramSection: number | undefined;

  get blocks(): readonly RamBlock[] {
    return this.#blocks;
  }

  /** A new list takes the place of the one before. */
  setBlocks(blocks: RamBlock[]): void {
    this.#blocks = blocks.slice(0, MAX_BLOCKS);
    this.#byName = new Map(this.#blocks.map((block) => [block.name, block]));
  }

  block(name: string): RamBlock | undefined {
    return this.#byName.get(name);
  }

  /** `page` lies in `block` and on a page's boundary. */
  holds(block: RamBlock, address: number): boolean {
    return address % this.pageBytes === 0 && address + this.pageBytes <= block.usedBytes;
  }

  /** An iterable section began: its parts will name only its id. */
  openSection(id: number, name: string): void {
    if (name === RAM_SECTION.name) this.ramSection = id;
    if (this.#sections.size < MAX_SECTIONS || this.#sections.has(id)) this.#sections.set(id, name);
  }

  sectionName(id: number): string | undefined {
    return this.#sections.get(id);
  }
}
