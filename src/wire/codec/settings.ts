/** Common settings of both sides, agreed at the session's start. */
export interface CodecSettings {
  /** Pages in each side's window for references. */
  readonly windowPages: number;
  /** Literals, deltas and opaque data per batch, bytes before compression. */
  readonly batchBytes: number;
  /** Pages and pieces of bytes per batch. */
  readonly batchItems: number;
}

export const DEFAULT_SETTINGS: CodecSettings = {
  windowPages: 16_384,
  batchBytes: 512 * 1024,
  batchItems: 4096,
};

/** Limits for a peer, and thus for a session's memory: 64 MiB of window, 16 MiB of batch. No build asks for more. */
export const MAX_SETTINGS: CodecSettings = DEFAULT_SETTINGS;

/** Size of a content's name: 128 bits of a keyed SHA-256. */
export const ID_BYTES = 16;

/** Record header and longest operand, with a margin. */
const MAX_RECORD = 32;

/** Limit of a batch's records, bytes before compression. */
export function mostRecords(settings: CodecSettings): number {
  return settings.batchItems * MAX_RECORD + MAX_RECORD;
}

/** Limit of a whole batch, bytes before compression. */
export function mostBody(settings: CodecSettings): number {
  return 4 + mostRecords(settings) + settings.batchBytes;
}

/** Throws unless a peer's settings are integers within the limits. */
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
