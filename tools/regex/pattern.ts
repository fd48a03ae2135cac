/**
 * A regular expression as a tree. An `atom` takes one letter. `start`, `end`, `look` and `check` (any other assertion) take
 * none.
 */
export type Pattern =
  | { readonly kind: 'atom'; readonly source: string }
  | { readonly kind: 'start' | 'end' | 'check' }
  | { readonly kind: 'look'; readonly body: Pattern }
  | { readonly kind: 'sequence'; readonly parts: readonly Pattern[] }
  | { readonly kind: 'choice'; readonly parts: readonly Pattern[] }
  | {
      readonly kind: 'repeat';
      readonly body: Pattern;
      readonly min: number;
      readonly max: number;
    };

const GROUP = /\((?:\?(?:(?<look>=|<?!)|<=|:|<\w+>|[a-z]*(?:-[a-z]+)?:))?/y;
const ESCAPE =
  /\\(?:(?<back>[1-9]|k<\w+>)|(?<check>[bB])|[pP]\{[^}]*\}|u\{[^}]*\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[A-Za-z]|[^])/y;
const QUANTIFIER = /(?:\*|\+|\?|\{(?<min>\d+)(?<comma>,)?(?<max>\d*)\})\??/y;

/** Reads a regular expression that the engine accepts; the engine itself judges what an atom takes. Pure. */
export function parsePattern(source: string): Pattern {
  let at = 0;
  const take = (regex: RegExp): RegExpExecArray | null => {
    regex.lastIndex = at;
    const found = regex.exec(source);
    at += found?.[0].length ?? 0;
    return found;
  };
  const choice = (): Pattern => {
    const parts = [sequence()];
    while (source[at] === '|') {
      at += 1;
      parts.push(sequence());
    }
    return { kind: 'choice', parts };
  };
  const sequence = (): Pattern => {
    const parts: Pattern[] = [];
    while (at < source.length && source[at] !== '|' && source[at] !== ')') parts.push(repeat());
    return { kind: 'sequence', parts };
  };
  const repeat = (): Pattern => {
    const body = single();
    const found = take(QUANTIFIER);
    if (found === null) return body;
    const [min, max] = countsOf(found);
    return { kind: 'repeat', body, min, max };
  };
  const single = (): Pattern => {
    const from = at;
    const group = take(GROUP);
    if (group !== null) {
      const body = choice();
      at += 1;
      // A look behind reads like a part before it: an attempt begins after its text only.
      return group.groups?.['look'] === undefined ? body : { kind: 'look', body };
    }
    if (source[at] === '[') {
      at = classEnd(source, at);
      return { kind: 'atom', source: source.slice(from, at) };
    }
    const escape = take(ESCAPE);
    if (escape?.groups?.['back'] !== undefined || escape?.groups?.['check'] !== undefined)
      return { kind: 'check' };
    if (escape !== null) return { kind: 'atom', source: escape[0] };
    const one = String.fromCodePoint(source.codePointAt(at) ?? 0);
    at += one.length;
    if (one === '^') return { kind: 'start' };
    return one === '$' ? { kind: 'end' } : { kind: 'atom', source: one };
  };
  const pattern = choice();
  if (at !== source.length) throw new Error(`not read to its end: ${source}`);
  return pattern;
}

function countsOf({ 0: text, groups }: RegExpExecArray): [number, number] {
  if (text.startsWith('*')) return [0, Infinity];
  if (text.startsWith('+')) return [1, Infinity];
  if (text.startsWith('?')) return [0, 1];
  const min = Number(groups?.['min']);
  if (groups?.['comma'] === undefined) return [min, min];
  return [min, groups['max'] === '' ? Infinity : Number(groups['max'])];
}

/** Classes in classes (flag `v`) included. */
function classEnd(source: string, from: number): number {
  let at = from + 1;
  while (at < source.length && source[at] !== ']') at += source[at] === '\\' ? 2 : 1;
  return at + 1;
}
