/**
 * Reports of a parser of QEMU's migration stream.
 *
 * The contract: the bytes of all calls of a sink, in order, are the bytes that were pushed, for any input. A
 * page's header is not among the bytes of `page` and `zero`; `recordHeader(record)` of records.ts restores it.
 * The interpretation of the input is a hint: a wrong guess costs compression, never a byte.
 */

/** Presumed kind of a run of bytes. */
export type SpanKind =
  | 'file-header'
  | 'configuration'
  | 'section-header'
  | 'section-footer'
  /** List of RAM blocks at the start of the RAM section. */
  | 'ram-list'
  /** End of a RAM section, multifd flush, RDMA hook. */
  | 'ram-control'
  /** Page compressed by QEMU; up to QEMU 9.0. */
  | 'compressed-page'
  /** Device state, which has no length and lasts until its section's footer. */
  | 'device'
  /** Command, its payload, and the four length bytes of a package. */
  | 'command'
  /** Stream's JSON description, after its end. */
  | 'description'
  | 'end'
  | 'multifd-hello'
  | 'multifd-header'
  /** Compressed pages or device state on a multifd channel. */
  | 'multifd-data'
  /** Message on the return path, and the bitmap that follows one of them. */
  | 'message'
  | 'bitmap'
  /** Unrecognized: passed on until the parser can continue. */
  | 'unknown'
  /** Part of an item that `flush` passed on before it was complete. */
  | 'torn';

export interface RamBlock {
  /** Position in the list of blocks, from 0; below MAX_BLOCKS. */
  readonly index: number;
  readonly name: string;
  readonly usedBytes: number;
  /** Present only if it differs from the host's usual size and post-copy is possible (huge pages). */
  readonly pageBytes?: number;
}

/**
 * Page of a record. One object is reused for all calls, so copy the needed fields. `header`: form of the record
 * on the wire, with the block's name, with the flag "same block as before", or absent (multifd names its pages
 * ahead).
 */
export interface RamRecord {
  readonly block: RamBlock;
  /** Offset in the block, bytes; a multiple of the target's page size. */
  readonly address: number;
  readonly header: 'named' | 'continued' | 'none';
}

/** Event in the stream, reported after its bytes. */
export type StreamNote =
  | {
      readonly type: 'section';
      readonly phase: 'start' | 'part' | 'end' | 'full';
      readonly id: number;
      /** Empty for a part of a section without a seen start. */
      readonly name: string;
    }
  | { readonly type: 'blocks'; readonly blocks: readonly RamBlock[] }
  /** End of a RAM section: QEMU has written everything for now. */
  | { readonly type: 'ram-section-end' }
  | { readonly type: 'command'; readonly code: number; readonly name: string }
  | { readonly type: 'message'; readonly code: number; readonly name: string }
  /** Start of a package's bytes (post-copy's device state); its content is parsed like the rest. */
  | { readonly type: 'package'; readonly bytes: number }
  | { readonly type: 'multifd-packet'; readonly pages: number; readonly zeroPages: number }
  | { readonly type: 'lost'; readonly atByte: number; readonly why: string }
  | { readonly type: 'found'; readonly atByte: number }
  /** End of file mark; a description may follow. */
  | { readonly type: 'end' };

/**
 * Receiver of a parser's results. `bytes` is the caller's chunk if the item is completely in it, otherwise a
 * reused buffer of the parser: use it only during the call.
 */
export interface StreamSink {
  span(kind: SpanKind, bytes: Uint8Array, start: number, end: number): void;
  /** Whole page: bytes[start, start + length of a target page), after its header. */
  page(record: RamRecord, bytes: Uint8Array, start: number, end: number): void;
  /** Zero page: its header and, unless `header` is 'none', one zero byte. */
  zero(record: RamRecord): void;
  /** Page as QEMU's delta: bytes[start, end) is its length field and data, after its header. */
  xbzrle(record: RamRecord, bytes: Uint8Array, start: number, end: number): void;
  note(note: StreamNote): void;
}

/** One direction of one connection. These functions never throw. */
export interface ChannelParser {
  /** Reports everything decided after `chunk`. At most `heldBytes` wait for more input. */
  push(chunk: Uint8Array): void;
  /**
   * Passes on waiting bytes as `torn`, for a stream that pauses, because the other side may wait for them. The
   * parser keeps its place, and the rest of the item also follows as `torn`.
   */
  flush(): void;
  /** The connection has ended: acts as flush. */
  end(): void;
  /** Pushed bytes that the sink has not received; at most MAX_HELD_BYTES. */
  readonly heldBytes: number;
}
