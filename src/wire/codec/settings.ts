/** What both sides of a stream hold alike; agreed when the session starts. */
export interface CodecSettings {
  /** Pages of content that each side keeps to refer to. */
  readonly windowPages: number;
  /** Bytes of literals, deltas and opaque data in a batch, before compression. */
  readonly batchBytes: number;
  /** Pages and pieces of bytes in a batch. */
  readonly batchItems: number;
}

export const DEFAULT_SETTINGS: CodecSettings = {
  windowPages: 16_384,
  batchBytes: 512 * 1024,
  batchItems: 4096,
};

/** Bounds for a peer, and so for the memory of a session: 64 MiB of window, 16 MiB of a batch. No build asks for more. */
export const MAX_SETTINGS: CodecSettings = DEFAULT_SETTINGS;

/** Bytes of the name of a content: 128 bits of a keyed SHA-256. */
export const ID_BYTES = 16;

/** A record's header and its longest operand, with room to spare. */
const MAX_RECORD = 32;

/** Most bytes of a batch's records, before compression. */
export function mostRecords(settings: CodecSettings): number {
  return settings.batchItems * MAX_RECORD + MAX_RECORD;
}

/** Most bytes of a whole batch, before compression. */
export function mostBody(settings: CodecSettings): number {
  return 4 + mostRecords(settings) + settings.batchBytes;
}

/** Throws where a peer's settings are not whole numbers within the bounds. */
export function checkSettings(settings: CodecSettings): CodecSettings {
  for (const name of ['windowPages', 'batchBytes', 'batchItems'] as const) {
    const value = settings[name];
    const least = name === 'batchBytes' ? 16_384 : 1;
    if (!Number.isInteger(value) || value < least || value > MAX_SETTINGS[name]) {
      throw new RangeError(`${name} is ${value}: not within ${least} to ${MAX_SETTINGS[name]}`);
    }
  }
  return settings;
}
