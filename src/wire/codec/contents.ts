/**
 * What a side knows of contents that outlive the stream; the cache gives one. Every call is synchronous: the
 * codec runs in a thread of its own. A content's name is ID_BYTES of a keyed SHA-256, so neither a guest nor
 * a peer can find two contents of one name, which a faster hash whose key the peer knows would let it do.
 */
export interface NearContents {
  nameOf(page: Uint8Array): Buffer;
  /** Whether the far side is thought to have it: may be wrong, which costs a round trip. */
  farHas(name: Uint8Array): boolean;
  /** The name of what this place held when it was last encoded by a content; alike on both sides. */
  baseOf(block: number, page: number): Uint8Array | undefined;
  read(name: Uint8Array): Uint8Array | undefined;
  /** A content has left: this side may keep it. `whole`: not as a reference, so that the far side has it from now on. */
  left(page: Uint8Array, name: Uint8Array, whole: boolean): void;
  /** The far side turned out not to have so many contents that were referred to. */
  missed(count: number): void;
  /** What a place holds now. Both sides learn the same, a batch's places at the batch's end. */
  placed(block: number, page: number, name: Uint8Array): void;
}

export interface FarContents {
  /** It may lie in `into`, PAGE_BYTES of the caller's. */
  read(name: Uint8Array, into: Buffer): Uint8Array | undefined;
  baseOf(block: number, page: number): Uint8Array | undefined;
  /** A content that had no reference has arrived: this side may keep it. Returns the name that it gives it. */
  arrived(page: Uint8Array): Uint8Array;
  placed(block: number, page: number, name: Uint8Array): void;
}

/** A fast hash of 64 bits. It never decides alone what a page is: bytes are compared, or a name is. */
export type Hash64 = (bytes: Uint8Array) => bigint;
