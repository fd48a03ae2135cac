/** Places encoded by content in a batch, reported at its end, so that both sides agree meanwhile. */
export class PlacedPages {
  readonly #places: { readonly block: number; readonly page: number; readonly name: Uint8Array }[] =
    [];

  add(block: number, page: number, name: Uint8Array): void {
    this.#places.push({ block, page, name });
  }

  handTo(
    contents: { placed(block: number, page: number, name: Uint8Array): void } | undefined,
  ): void {
    for (const { block, page, name } of this.#places) contents?.placed(block, page, name);
    this.#places.length = 0;
  }
}
