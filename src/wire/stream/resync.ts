import { Beginnings } from './beginnings.ts';
import type { StreamContext } from './context.ts';
import { u32 } from './fields.ts';
import { ELEMENT } from './format.ts';
import { footerAndNext, NO, ramStart } from './plausible.ts';

/** Result of the search; `none`: no such place before the end of the window. */
export type ResyncPoint =
  | { readonly kind: 'footer' | 'element' | 'none'; readonly at: number }
  | { readonly kind: 'more'; readonly at: number; readonly needed: number };

export interface SeekWindow {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  /** Nothing follows the window: the end of a package or of the stream. */
  readonly last: boolean;
}

/**
 * First place in the window where the parser can continue:
 * - a footer of the open section (of any, when lost), followed by a possible element;
 * - a part of the RAM section that starts with a valid record;
 * - the start of the RAM section, when lost or before its first start.
 * A guest can forge all of these in device state, but only worsens the compression of its stream.
 */
export function resync(
  context: StreamContext,
  section: number | undefined,
  record: (at: number) => number,
  window: SeekWindow,
): ResyncPoint {
  const { bytes, end, last } = window;
  const startMatters = section === undefined || context.ramSection === undefined;
  const beginnings = new Beginnings(bytes, window, section, context.ramSection);
  for (let at = beginnings.next(window.at); at < end; at = beginnings.next(at + 1)) {
    const isFooter = bytes[at] === ELEMENT.FOOTER;
    let found = NO;
    // Most false footers fail here, at the type of the next element.
    if (isFooter && at + 5 < end && (bytes[at + 5] ?? 0) > ELEMENT.COMMAND) continue;
    if (isFooter) found = footerAndNext(context, section, bytes, { at, end, last });
    else if (bytes[at] !== ELEMENT.SECTION_START) found = ramPart(context, record, bytes, at, end);
    else if (startMatters) found = ramStart(bytes, at, end);
    if (found > NO) return { kind: isFooter ? 'footer' : 'element', at };
    if (found < NO && !last) return { kind: 'more', at, needed: -found };
  }
  return { kind: 'none', at: end };
}

function ramPart(
  context: StreamContext,
  record: (at: number) => number,
  bytes: Uint8Array,
  at: number,
  end: number,
): number {
  if (context.ramSection === undefined) return NO;
  if (end - at < 5) return -5;
  if (u32(bytes, at + 1) !== context.ramSection) return NO;
  const first = record(at + 5);
  return first < 0 ? first - 5 : first;
}
