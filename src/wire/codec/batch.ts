/** Items encoded as records and data; to be compressed and framed. Its body is the one behind the other. */
export interface Batch {
  /** u32 length of the records, and the records. */
  readonly records: Buffer;
  /** Memory of the encoder's, which is to get it back, see `recycle`. */
  readonly data: Buffer;
  readonly items: number;
  /** Hash of all that was decoded up to and with this batch. */
  readonly hash: bigint;
  /** The window's number after this batch: what `acknowledge` takes when the far side has decoded it. */
  readonly lastNumber: number;
  /** Bytes that the items were. */
  readonly plainBytes: number;
}

/** As the decoder takes it. */
export function bodyOf({ records, data }: Batch): Buffer {
  return Buffer.concat([records, data]);
}
