/**
 * Contents that outlive the stream, provided by the cache. The calls are synchronous, because the codec has a
 * separate thread. A content's name is ID_BYTES of a keyed SHA-256: with a faster hash, a peer that has the key
 * could find a collision.
 */
export interface NearContents {
  nameOf(page: Uint8Array): Buffer;
  /** True if the far side is believed to have it; an error costs a round trip. */
  farHas(name: Uint8Array): boolean;
  /** Name of this place's content when it was last encoded by content; equal on both sides. */
  baseOf(block: number, page: number): Uint8Array | undefined;
  read(name: Uint8Array): Uint8Array | undefined;
  /** A content was sent, and this side may keep it. `whole`: not as a reference, so that the far side now has it. */
  left(page: Uint8Array, name: Uint8Array, whole: boolean): void;
  /** Count of referenced contents that the far side lacked. */
  missed(count: number): void;
  /** Present content of a place. Both sides record a batch's places at its end. */
  placed(block: number, page: number, name: Uint8Array): void;
}

export interface FarContents {
  /** May use `into`, PAGE_BYTES of the caller's memory. */
  read(name: Uint8Array, into: Buffer): Uint8Array | undefined;
  baseOf(block: number, page: number): Uint8Array | undefined;
  /** A content without a reference has arrived, and this side may keep it. Returns this side's name for it. */
  arrived(page: Uint8Array): Uint8Array;
  placed(block: number, page: number, name: Uint8Array): void;
}

/** Fast 64-bit hash. It never identifies a page alone: bytes or names are compared. */
export type Hash64 = (bytes: Uint8Array) => bigint;
