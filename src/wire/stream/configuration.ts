import { isPrintable, text, u32 } from './fields.ts';
import {
  CONFIGURATION,
  ELEMENT,
  IGNORE_SHARED,
  MAPPED_RAM,
  MAX_PAGE_BYTES,
  MIN_PAGE_BYTES,
} from './format.ts';

const MAX_CAPABILITIES = 64;

/** Properties of the stream in the configuration's subsections. */
export interface StreamConfiguration {
  pageBytes?: number;
  ignoreShared?: boolean;
  mappedRam?: boolean;
}

/**
 * Reads one subsection: returns its length, 0 if it is unknown (it has no length field), or minus the bytes that
 * it needs.
 */
export function subsection(
  bytes: Uint8Array,
  at: number,
  end: number,
  configured: StreamConfiguration,
): number {
  if (bytes[at] !== ELEMENT.SUBSECTION) return 0;
  if (end - at < 2) return -2;
  const nameEnd = at + 2 + (bytes[at + 1] ?? 0);
  if (!isPrintable(bytes, at + 2, Math.min(end, nameEnd))) return 0;
  const fields = nameEnd + 4;
  if (end < fields) return at - fields;
  const target = configured;
  switch (text(bytes, at + 2, nameEnd)) {
    case CONFIGURATION.UUID.name:
      return whole(at, fields + CONFIGURATION.UUID.bytes, end);
    case CONFIGURATION.TARGET_PAGE_BITS.name: {
      const stop = fields + CONFIGURATION.TARGET_PAGE_BITS.bytes;
      if (end < stop) return at - stop;
      const pageBytes = 2 ** u32(bytes, fields);
      if (pageBytes < MIN_PAGE_BYTES || pageBytes > MAX_PAGE_BYTES) return 0;
      target.pageBytes = pageBytes;
      return stop - at;
    }
    case CONFIGURATION.CAPABILITIES.name:
      return capabilities(bytes, { at, fields, end }, target);
    default:
      return 0;
  }
}

function whole(at: number, stop: number, end: number): number {
  return end < stop ? at - stop : stop - at;
}

function capabilities(
  bytes: Uint8Array,
  { at, fields, end }: { at: number; fields: number; end: number },
  configured: StreamConfiguration,
): number {
  if (end < fields + 4) return at - fields - 4;
  const count = u32(bytes, fields);
  if (count > MAX_CAPABILITIES) return 0;
  const names: string[] = [];
  let stop = fields + 4;
  for (let index = 0; index < count; index += 1) {
    if (end <= stop) return at - stop - 1;
    const start = stop + 1;
    stop = start + (bytes[stop] ?? 0);
    if (!isPrintable(bytes, start, Math.min(end, stop))) return 0;
    if (end < stop) return at - stop;
    names.push(text(bytes, start, stop));
  }
  const target = configured;
  target.ignoreShared = names.includes(IGNORE_SHARED);
  target.mappedRam = names.includes(MAPPED_RAM);
  return stop - at;
}
