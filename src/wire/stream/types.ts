/**
 * What a parser of QEMU's migration stream reports to the code above it.
 *
 * The contract: the bytes of all calls of a sink, in the order of the calls, are the bytes that were pushed, for any
 * input. A page's header is not among the bytes of `page` and `zero`: `recordHeader(record)` of records.ts gives it
 * back. What the input is taken for is a hint: a wrong guess costs compression, never a byte.
 */

/** What a run of bytes is, as far as the parser knows. */
export type SpanKind =
  | 'file-header'
  | 'configuration'
  | 'section-header'
  | 'section-footer'
  /** The list of RAM blocks at the start of the RAM section. */
  | 'ram-list'
  /** End of a RAM section, multifd flush, RDMA hook. */
  | 'ram-control'
  /** A page that QEMU itself has compressed; up to QEMU 9.0. */
  | 'compressed-page'
  /** State of a device: of no length of its own, so it lasts until a footer of its section. */
  | 'device'
  /** A command, its payload, the four bytes of length before a package. */
  | 'command'
  /** The stream's own description in JSON, after its end. */
  | 'description'
  | 'end'
  | 'multifd-hello'
  | 'multifd-header'
  /** Compressed pages, or a device's state, on a multifd channel. */
  | 'multifd-data'
  /** On the return path: a message, and the bitmap that follows one of them. */
  | 'message'
  | 'bitmap'
  /** Not understood: passed on until the parser finds its place again. */
  | 'unknown'
  /** A part of an item that `flush` had to give out before it was whole. */
  | 'torn';

export interface RamBlock {
  /** Position in the list of blocks, from 0; below MAX_BLOCKS. */
  readonly index: number;
  readonly name: string;
  readonly usedBytes: number;
  /** Said only where it differs from the host's usual size and post-copy is possible (huge pages). */
  readonly pageBytes?: number;
}

/**
 * Which page a record is about. One object is used for all calls: take from it what is to be kept.
 * `header` says how the record begins on the wire: with the block's name, with the flag "same block as before", or
 * not at all (multifd names its pages ahead of them).
 */
export interface RamRecord {
  readonly block: RamBlock;
  /** Within the block, bytes; a multiple of the target's page size. */
  readonly address: number;
  readonly header: 'named' | 'continued' | 'none';
}

/** What happened in the stream. A note follows the bytes that it is about. */
export type StreamNote =
  | {
      readonly type: 'section';
      readonly phase: 'start' | 'part' | 'end' | 'full';
      readonly id: number;
      /** Empty for a part of a section whose start was not seen. */
      readonly name: string;
    }
  | { readonly type: 'blocks'; readonly blocks: readonly RamBlock[] }
  /** A RAM section is over: QEMU has written all it had for now. */
  | { readonly type: 'ram-section-end' }
  | { readonly type: 'command'; readonly code: number; readonly name: string }
  | { readonly type: 'message'; readonly code: number; readonly name: string }
  /** The bytes of a package (post-copy's device state) begin; its content is parsed like the rest. */
  | { readonly type: 'package'; readonly bytes: number }
  | { readonly type: 'multifd-packet'; readonly pages: number; readonly zeroPages: number }
  | { readonly type: 'lost'; readonly atByte: number; readonly why: string }
  | { readonly type: 'found'; readonly atByte: number }
  /** The end of file mark; a description may follow. */
  | { readonly type: 'end' };

/**
 * Where a parser's findings go. `bytes` is the caller's chunk where what is reported lies in it in one piece, else a
 * buffer of the parser's that is written again: use it during the call only.
 */
export interface StreamSink {
  /** bytes[start, end) as they are. */
  span(kind: SpanKind, bytes: Uint8Array, start: number, end: number): void;
  /** A whole page: bytes[start, start + length of a target page), after its header. */
  page(record: RamRecord, bytes: Uint8Array, start: number, end: number): void;
  /** A page of zeros: its header and, unless `header` is 'none', one byte 0. */
  zero(record: RamRecord): void;
  /** A page as QEMU's own delta: bytes[start, end) is its length field and its data, after its header. */
  xbzrle(record: RamRecord, bytes: Uint8Array, start: number, end: number): void;
  note(note: StreamNote): void;
}

/** One direction of one connection. None of these throws, whatever comes. */
export interface ChannelParser {
  /** Reports to the sink all that is decided once `chunk` is there. At most `heldBytes` wait for what follows. */
  push(chunk: Uint8Array): void;
  /**
   * Gives out what waits for more input, as `torn`. For a stream that pauses: the other side may wait for these
   * bytes. The parser keeps its place, and the rest of the item comes as `torn` too.
   */
  flush(): void;
  /** The connection has ended: as flush. */
  end(): void;
  /** Bytes pushed that the sink has not got yet; at most MAX_HELD_BYTES. */
  readonly heldBytes: number;
}
