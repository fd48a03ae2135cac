/**
 * QEMU's option strings: `virtio-net-pci,id=nic0,mac=52:..`, with `,,` for a comma inside a value.
 * parse(format(x)) equals x. Pure.
 */

export type Scalar = string | number | boolean;

export interface OptionString {
  /** First part without `=`, if the option has an implied key. */
  readonly head: string | undefined;
  readonly props: ReadonlyMap<string, string>;
}

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
 * `implied`: the first part has no key (`-device DRIVER,...`). A later part without `=` is a switch: `nowait` is
 * `nowait=on`, like in QEMU's parser (`noX` is X=off for options where QEMU did that).
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

/**
 * Option in JSON; undefined for another form. QEMU accepted the process's options at start, but the process may
 * rewrite its command line.
 */
export function parseJsonOption(text: string): Readonly<Record<string, unknown>> | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

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

export function textOf(value: Scalar): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return String(value);
}

export function switchValue(value: Scalar | undefined): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (value === 'on' || value === 'yes' || value === 'true' || value === 'y') return true;
  if (value === 'off' || value === 'no' || value === 'false' || value === 'n') return false;
  return undefined;
}

/**
 * Converts `512M`, `2G`, `1024` (in `unit` bytes) to bytes; undefined if it is not a size or is too large to
 * represent.
 */
export function parseBytes(text: string, unit: number): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([bkmgtpe]?)$/i.exec(text.trim());
  if (match?.[1] === undefined) return undefined;
  const suffix = (match[2] ?? '').toLowerCase();
  const scale = suffix === '' ? unit : 1024 ** 'bkmgtpe'.indexOf(suffix);
  const bytes = Math.round(Number(match[1]) * scale);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
