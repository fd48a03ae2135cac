/** A regular expression as a program has it. */
export interface RegexLiteral {
  readonly source: string;
  readonly flags: string;
  readonly line: number;
}

/** After one of these words a slash begins a regular expression; after any other name it divides. */
const BEFORE_REGEX = new Set(
  'return typeof case in await void yield else do delete throw new'.split(' '),
);
const NAME = /[\w$]+/y;
const FLAGS = /[a-z]*/y;

/** Finds the regular expressions of a TypeScript source: those in its code, not those in its comments and strings. Pure. */
export function regexLiterals(text: string): RegexLiteral[] {
  const found: RegexLiteral[] = [];
  /** For each template that is open: the braces that are open in its expression. */
  const templates: number[] = [];
  let before = '';
  let at = 0;
  while (at < text.length) {
    const here = text[at] ?? '';
    const two = text.slice(at, at + 2);
    if (two === '//') at = endOf(text, '\n', at);
    else if (two === '/*') at = endOf(text, '*/', at + 2);
    else if (/\s/.test(here)) at += 1;
    else if (here === "'" || here === '"') {
      at = stringEnd(text, at);
      before = here;
    } else if (here === '`' || (here === '}' && templates.at(-1) === 0)) {
      if (here === '}') templates.pop();
      at = templateEnd(text, at + 1);
      if (text[at - 1] === '{') templates.push(0);
      before = text[at - 1] === '{' ? '{' : '`';
    } else if (here === '/' && beginsRegex(before)) {
      const end = regexEnd(text, at);
      const [flags] = match(FLAGS, text, end + 1);
      const line = text.slice(0, at).split('\n').length;
      found.push({ source: text.slice(at + 1, end), flags, line });
      at = end + 1 + flags.length;
      before = '/';
    } else {
      const [name] = match(NAME, text, at);
      before = name === '' ? here : name;
      at += before.length;
      const depth = templates.length - 1;
      if (here === '{' && depth >= 0) templates[depth] = (templates[depth] ?? 0) + 1;
      if (here === '}' && depth >= 0) templates[depth] = (templates[depth] ?? 0) - 1;
    }
  }
  return found;
}

function match(regex: RegExp, text: string, at: number): [string] {
  regex.lastIndex = at;
  return [regex.exec(text)?.[0] ?? ''];
}

function endOf(text: string, mark: string, from: number): number {
  const end = text.indexOf(mark, from);
  return end === -1 ? text.length : end + mark.length;
}

function beginsRegex(before: string): boolean {
  return BEFORE_REGEX.has(before) || !/^[\w$)\]}'"`/]/.test(before);
}

function stringEnd(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== text[from]) at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** The place after a template's closing quote, or after the `${` of its next expression. */
function templateEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== '`') {
    if (text.startsWith('${', at)) return at + 2;
    at += text[at] === '\\' ? 2 : 1;
  }
  return at + 1;
}

/** The place of its closing slash; a slash in a class does not close it. */
function regexEnd(text: string, from: number): number {
  let isInClass = false;
  let at = from + 1;
  while (at < text.length && (isInClass || text[at] !== '/')) {
    if (text[at] === '[') isInClass = true;
    if (text[at] === ']') isInClass = false;
    at += text[at] === '\\' ? 2 : 1;
  }
  return at;
}
