import { formatBytes } from '../../protocol/quantity.ts';
import { redactText } from '../../words/redact.ts';

/** A part before secrets are removed. */
export interface BundlePart {
  readonly name: string;
  readonly text: string;
  /** The end of a long part that is kept. `end`: the newest lines are last. */
  readonly keep?: 'start' | 'end';
}

export interface BundleEntry {
  readonly name: string;
  readonly bytes: number;
  readonly cutBytes: number;
}

export interface Bundle {
  readonly text: string;
  readonly entries: readonly BundleEntry[];
}

/** Small enough for mail. */
export const MAX_BUNDLE_BYTES = 4 * 1024 * 1024;
const MAX_PART_BYTES = 512 * 1024;
const MAX_HEADING_BYTES = 512;

/** Joins the parts. Secrets are removed before the cut, so that no fragment is left. */
export function makeBundle(parts: readonly BundlePart[], secrets: readonly string[]): Bundle {
  const texts: string[] = [];
  const entries: BundleEntry[] = [];
  let roomBytes = MAX_BUNDLE_BYTES;
  for (const { name, text, keep = 'start' } of parts) {
    // Without control characters, since it is shown in terminals.
    const plain = redactText(text, secrets).replaceAll(/(?![\n\t])\p{Cc}/gu, ' ');
    const clean = Buffer.from(plain.trimEnd());
    const bytes = Math.max(
      0,
      Math.min(clean.length, MAX_PART_BYTES, roomBytes - MAX_HEADING_BYTES),
    );
    const cutBytes = clean.length - bytes;
    const kept = keep === 'start' ? clean.subarray(0, bytes) : clean.subarray(cutBytes);
    const cutAt = keep === 'start' ? 'end' : 'start';
    const note = cutBytes === 0 ? '' : `, ${formatBytes(cutBytes)} cut at the ${cutAt}`;
    const part = `==== ${name} (${formatBytes(bytes)}${note})\n${wholeCharacters(kept, keep)}\n\n`;
    const isIn = Buffer.byteLength(part) <= roomBytes;
    if (isIn) texts.push(part);
    if (isIn) roomBytes -= Buffer.byteLength(part);
    entries.push(isIn ? { name, bytes, cutBytes } : { name, bytes: 0, cutBytes: clean.length });
  }
  return { text: texts.join(''), entries };
}

function wholeCharacters(bytes: Buffer, keep: 'start' | 'end'): string {
  const text = bytes.toString('utf8');
  return keep === 'start' ? text.replace(/\uFFFD{1,3}$/, '') : text.replace(/^\uFFFD{1,3}/, '');
}
