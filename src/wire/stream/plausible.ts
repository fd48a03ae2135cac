import type { StreamContext } from './context.ts';
import { text, isPrintable, u16, u32 } from './fields.ts';
import { COMMANDS, ELEMENT, RAM_SECTION } from './format.ts';

/**
 * Checks whether bytes can be an element of the main channel, for a parser that is lost or in a device's state,
 * which has no length. Each function takes a window [at, end) and returns NO, the header's length, or minus the
 * number of bytes needed to decide.
 */
export const NO = 0;

const FOOTER_BYTES = 5;
/** Section versions are small numbers; an instance may be an address. */
const MAX_VERSION = 0xffff;
const MAX_DESCRIPTION_BYTES = 256 * 1024 * 1024;

/** Type, id, and a name, whose bytes are checked as soon as they arrive. */
export function sectionHeader(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < 6) return -6;
  const length = bytes[at + 5] ?? 0;
  if (length === 0) return NO;
  const nameStart = at + 6;
  const nameEnd = nameStart + length;
  if (!isPrintable(bytes, nameStart, Math.min(end, nameEnd))) return NO;
  const total = 6 + length + 8;
  if (end - at < total) return -total;
  return u32(bytes, nameEnd + 4) > MAX_VERSION ? NO : total;
}

/** Header of the RAM section: specific enough without a footer before it. */
export function ramStart(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < 9) {
    const length = end - at > 5 ? bytes[at + 5] : RAM_SECTION.name.length;
    return length === RAM_SECTION.name.length ? -9 : NO;
  }
  if (bytes[at + 5] !== RAM_SECTION.name.length) return NO;
  if (bytes[at + 6] !== RAM_SECTION.name.charCodeAt(0)) return NO;
  if (text(bytes, at + 6, at + 9) !== RAM_SECTION.name) return NO;
  if (end - at < 17) return -17;
  return u32(bytes, at + 9) === 0 && u32(bytes, at + 13) === RAM_SECTION.version ? 17 : NO;
}

function command(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < 5) return -5;
  const format = COMMANDS.get(u16(bytes, at + 1));
  if (format === undefined) return NO;
  const length = u16(bytes, at + 3);
  return format.payloadBytes === undefined || format.payloadBytes === length ? 5 : NO;
}

/** End of file: the last byte of a stream or package, or the byte before a description. */
function endOfFile(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < 7) return -7;
  const described =
    bytes[at + 1] === ELEMENT.DESCRIPTION &&
    u32(bytes, at + 2) <= MAX_DESCRIPTION_BYTES &&
    bytes[at + 6] === 0x7b;
  return described ? 1 : NO;
}

/** Element that can follow another one. */
export function element(context: StreamContext, bytes: Uint8Array, at: number, end: number) {
  switch (bytes[at]) {
    case ELEMENT.SECTION_START:
    case ELEMENT.SECTION_FULL:
      return sectionHeader(bytes, at, end);
    case ELEMENT.SECTION_PART:
    case ELEMENT.SECTION_END:
      if (end - at < 5) return -5;
      return context.sectionName(u32(bytes, at + 1)) === undefined ? NO : 5;
    case ELEMENT.COMMAND:
      return command(bytes, at, end);
    case ELEMENT.END:
      return endOfFile(bytes, at, end);
    default:
      return NO;
  }
}

/** True if the available bytes of [at, end) start the number. */
function begins(bytes: Uint8Array, at: number, end: number, value: number): boolean {
  for (let index = 0; at + index < end; index += 1) {
    if (bytes[at + index] !== ((value >>> (24 - 8 * index)) & 0xff)) return false;
  }
  return true;
}

/**
 * Footer with a possible next element. `id`: section that it must close; undefined for any, if the parser's
 * section is unknown.
 */
export function footerAndNext(
  context: StreamContext,
  id: number | undefined,
  bytes: Uint8Array,
  window: { readonly at: number; readonly end: number; readonly last: boolean },
): number {
  const { at, end, last } = window;
  if (end - at < FOOTER_BYTES) return id === undefined || begins(bytes, at + 1, end, id) ? -6 : NO;
  if (id !== undefined && u32(bytes, at + 1) !== id) return NO;
  if (end - at === FOOTER_BYTES && last && id !== undefined) return FOOTER_BYTES;
  if (end - at === FOOTER_BYTES) return -6;
  if (end - at === FOOTER_BYTES + 1 && last && bytes[at + FOOTER_BYTES] === ELEMENT.END) {
    return FOOTER_BYTES;
  }
  const next = element(context, bytes, at + FOOTER_BYTES, end);
  if (next < 0) return next - FOOTER_BYTES;
  return next === NO ? NO : FOOTER_BYTES;
}
