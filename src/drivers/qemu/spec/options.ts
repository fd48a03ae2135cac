/**
 * QEMU's option strings: `virtio-net-pci,id=nic0,mac=52:..`, with `,,` for a comma inside a value.
 * Pure, and the inverse of each other: parse(format(x)) is x.
 */

export type Scalar = string | number | boolean;

export interface OptionString {
  /** The value before the first `=`-less comma, when the option has an implied key; else undefined. */
  readonly head: string | undefined;
  readonly props: ReadonlyMap<string, string>;
}

/** Splits at single commas; doubled ones stand for one. */
export function splitOption(text: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== ',') {
      part += text[at];
    } else if (text[at + 1] === ',') {
      part += ',';
      at++;
    } else {
      parts.push(part);
      part = '';
    }
  }
  parts.push(part);
  return parts;
}

/**
 * `implied`: the first part has no key (`-device DRIVER,...`). A later part without `=` is a switch:
 * `nowait` is `nowait=on`, as QEMU's own parser takes it (`noX` as X=off where it did so).
 */
export function parseOption(text: string, implied: boolean): OptionString {
  const props = new Map<string, string>();
  let head: string | undefined;
  for (const [index, part] of splitOption(text).entries()) {
    if (part === '' && index > 0) continue;
    const at = part.indexOf('=');
    if (at > 0) props.set(part.slice(0, at), part.slice(at + 1));
    else if (index === 0 && implied) head = part;
    else if (part !== '') props.set(...switchOf(part));
  }
  return { head, props };
}

function switchOf(part: string): [string, string] {
  if (part === 'nowait' || part === 'noserver' || part === 'nodelay') {
    return part === 'nodelay' ? ['nodelay', 'on'] : [part.slice(2), 'off'];
  }
  return [part, 'on'];
}

/** An option in JSON; undefined where it is none. QEMU took what its process was started with, which can write that anew. */
export function parseJsonOption(text: string): Readonly<Record<string, unknown>> | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** Writes an option; commas in values are doubled. */
export function formatOption(
  head: string | undefined,
  props: Iterable<readonly [string, Scalar]>,
): string {
  const parts = head === undefined ? [] : [escapeComma(head)];
  for (const [key, value] of props) parts.push(`${key}=${escapeComma(textOf(value))}`);
  return parts.join(',');
}

export function escapeComma(text: string): string {
  return text.replaceAll(',', ',,');
}

/** As QEMU reads a value from a command line. */
export function textOf(value: Scalar): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return String(value);
}

/** `on`/`off` and their synonyms; undefined for anything else. */
export function switchValue(value: Scalar | undefined): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (value === 'on' || value === 'yes' || value === 'true' || value === 'y') return true;
  if (value === 'off' || value === 'no' || value === 'false' || value === 'n') return false;
  return undefined;
}

/** `512M`, `2G`, `1024` (in `unit` bytes) as bytes; undefined when it is no size, or more than can be counted. */
export function parseBytes(text: string, unit: number): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([bkmgtpe]?)$/i.exec(text.trim());
  if (match?.[1] === undefined) return undefined;
  const suffix = (match[2] ?? '').toLowerCase();
  const scale = suffix === '' ? unit : 1024 ** 'bkmgtpe'.indexOf(suffix);
  const bytes = Math.round(Number(match[1]) * scale);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
