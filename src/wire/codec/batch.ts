/** Items encoded as records and data, to be compressed and framed. The body is both in sequence. */
export interface Batch {
  /** Length of the records (u32), and the records. */
  readonly records: Buffer;
  /** Memory of the encoder, returned by `recycle`. */
  readonly data: Buffer;
  readonly items: number;
  readonly hash: bigint;
  /** Window number after this batch, for `acknowledge` once the far side has decoded it. */
  readonly lastNumber: number;
  /** Size of the items before encoding. */
  readonly plainBytes: number;
}

export function bodyOf({ records, data }: Batch): Buffer {
  return Buffer.concat([records, data]);
}
