import { godwitError } from '../errors.ts';

/** Bytes of a bound per value within it. Parsing costs by the value: a MiB of `{},` costs as much as 20 MiB of text. */
const BYTES_PER_VALUE = 16;
const MAX_DEPTH = 128;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;

/**
 * JSON of another program, within `limit` bytes. GODWIT_TOO_LARGE before it is parsed if it has more values than such a
 * text may have, or is nested too deeply; a SyntaxError if it is not JSON.
 */
export function boundedJson(text: string, limit: number, what: string): unknown {
  const maxValues = Math.ceil(limit / BYTES_PER_VALUE);
  // A short text cannot have so many.
  const isBounded = text.length <= MAX_DEPTH || isWithin(text, maxValues);
  if (isBounded) return JSON.parse(text);
  const limits = `${maxValues} values, nested ${MAX_DEPTH} levels deep`;
  throw godwitError(
    'GODWIT_TOO_LARGE',
    { what, limit: limits },
    { hint: 'Send fewer values, nested less deeply.' },
  );
}

/** The same; undefined if the text is not JSON. */
export function boundedJsonOf(text: string, limit: number, what: string): unknown {
  try {
    return boundedJson(text, limit, what);
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

/** Counts objects, arrays and what follows a comma, outside of strings; the work ends with the first one too many. */
function isWithin(text: string, maxValues: number): boolean {
  let [values, depth] = [0, 0];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    // The brackets of objects and arrays differ from each other in one bit.
    const bracket = code & ~0x20;
    if (bracket === 0x5b) depth += 1;
    else if (bracket === 0x5d) depth -= 1;
    if (code === COMMA || bracket === 0x5b) values += 1;
    if (values > maxValues || depth > MAX_DEPTH) return false;
  }
  return true;
}

/** The closing quote of the string that begins at `from`, or the end of the text. */
function endOfString(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at;
    if (code === BACKSLASH) at += 1;
  }
  return text.length;
}
