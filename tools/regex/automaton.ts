import type { Pattern } from './pattern.ts';

/**
 * A regular expression as a graph of its atoms. A state is an atom that has taken a letter, the start of the text, or the
 * search for a place where a match may start.
 */
export interface Automaton {
  /** For each state: the letters of the alphabet that lead into it. */
  readonly letters: readonly ReadonlySet<string>[];
  /** For each state: the states that may follow, each as often as there are ways to it. */
  readonly next: readonly (readonly number[])[];
  /** The states from which the whole matches, whatever follows. */
  readonly accepts: readonly boolean[];
}

/** States that are no atoms: the start of the text, and a search that has stepped over a letter or over the end of a line. */
const BEGIN = 0;
const SEARCH = 1;
const SEARCH_LINE = 2;
const OWN_STATES = [BEGIN, SEARCH, SEARCH_LINE];

/** `a`, `Z`, `0`, `_`, a space, a tab, a line feed, a line separator, letters of other scripts, and one of two code units. */
const COMMON_LETTERS = [0x61, 0x5a, 0x30, 0x5f, 0x20, 0x09, 0x0a, 0x2028, 0xe9, 0x4e2d, 0x1f600];
const ENDS_LINE = /[\n\r\u2028\u2029]/;

/** A counted repetition of at most so many rounds costs a constant; one of more is a loop. */
const MAX_COUNTED = 256;
/** Copies of the body of a counted repetition: enough that two ways through it stay two. */
const MAX_COPIES = 3;

/** Nodes of the graph before the steps that take no character are removed. */
interface Node {
  readonly atom?: string;
  readonly mode?: 'start' | 'end' | 'check' | 'accept';
  readonly to: Node[];
}

export function automatonOf(pattern: Pattern, flags: string): Automaton {
  const atoms: Node[] = [];
  const first = build(pattern, { mode: 'accept', to: [] }, 1, atoms);
  const isByLine = flags.includes('m');
  const reach = [
    ...OWN_STATES.map((own) =>
      waysFrom([first], own === BEGIN || (isByLine && own === SEARCH_LINE)),
    ),
    ...atoms.map(({ to }) => waysFrom(to, isByLine)),
  ];
  const state = new Map(atoms.map((atom, at) => [atom, at + OWN_STATES.length]));
  const next = reach.map((ways) => ways.atoms.map((atom) => state.get(atom) ?? BEGIN));
  const isSearched = [SEARCH, SEARCH_LINE].some((own) => next[own]?.length !== 0);
  if (isSearched && !flags.includes('y'))
    for (const own of OWN_STATES) next[own]?.push(SEARCH, SEARCH_LINE);
  const alphabet = alphabetOf(atoms, flags);
  const searched = [
    [],
    alphabet.filter((each) => !ENDS_LINE.test(each)),
    alphabet.filter((each) => ENDS_LINE.test(each)),
  ];
  const letters = [
    ...searched.map((each) => new Set(each)),
    ...atoms.map((atom) => taken(atom, alphabet, flags)),
  ];
  const matches = reach.map(({ match }) => match);
  return { letters, next, accepts: sureStates({ letters, next }, matches, alphabet, isByLine) };
}

function build(pattern: Pattern, out: Node, rounds: number, atoms: Node[]): Node {
  switch (pattern.kind) {
    case 'atom': {
      const node: Node = { atom: pattern.source, to: [out] };
      atoms.push(node);
      return { to: [node] };
    }
    case 'start':
    case 'end':
    case 'check':
      return { mode: pattern.kind, to: [out] };
    case 'look': {
      // The body is tried, and then the text goes on from the same place.
      const end: Node = { to: [] };
      return { to: [build(pattern.body, end, rounds, atoms), { mode: 'check', to: [out] }] };
    }
    case 'sequence':
      return pattern.parts.reduceRight((after, part) => build(part, after, rounds, atoms), out);
    case 'choice':
      return { to: pattern.parts.map((part) => build(part, out, rounds, atoms)) };
    case 'repeat':
      return repeat(pattern, out, rounds, atoms);
  }
}

function repeat(
  { body, min, max }: Extract<Pattern, { kind: 'repeat' }>,
  out: Node,
  rounds: number,
  atoms: Node[],
): Node {
  if (max * rounds > MAX_COUNTED) {
    const again: Node = { to: [] };
    const inside = build(body, again, 1, atoms);
    again.to.push(inside, out);
    return { to: min === 0 ? [inside, out] : [inside] };
  }
  const least = Math.min(min, MAX_COPIES);
  const most = min === max ? least : Math.min(Math.max(max, least + 1), least + MAX_COPIES);
  let after = out;
  for (let copy = most; copy > 0; copy -= 1) {
    const inside = build(body, after, rounds * max, atoms);
    after = copy > least ? { to: [inside, out] } : { to: [inside] };
  }
  return after;
}

/** When a state matches the whole without a further letter. */
type Match = 'always' | 'at the end' | 'never';

/** Every way that takes no letter, without a round of a loop that took none: the engine cuts those. */
function waysFrom(from: readonly Node[], isAtStart: boolean): { atoms: Node[]; match: Match } {
  const found: Node[] = [];
  let match: Match = 'never';
  const open = new Set<Node>();
  const visit = (node: Node, best: Match): void => {
    if (node.atom !== undefined) {
      if (found.filter((each) => each === node).length < 2) found.push(node);
      return;
    }
    if (node.mode === 'accept' && match !== 'always') match = best === 'never' ? match : best;
    if (open.has(node) || (node.mode === 'start' && !isAtStart)) return;
    open.add(node);
    for (const to of node.to) visit(to, afterNode(node, best));
    open.delete(node);
  };
  for (const node of from) visit(node, 'always');
  return { atoms: found, match };
}

function afterNode({ mode }: Node, best: Match): Match {
  if (mode === undefined || best === 'never') return best;
  return mode === 'end' ? 'at the end' : 'never';
}

/** The states that match whatever follows: none of their letters, nor the end of the text, leads out of these states. */
function sureStates(
  { letters, next }: Omit<Automaton, 'accepts'>,
  matches: readonly Match[],
  alphabet: readonly string[],
  isByLine: boolean,
): boolean[] {
  const sure = matches.map((match) => match !== 'never');
  const goesOn = (state: number, letter: string): boolean =>
    (isByLine && ENDS_LINE.test(letter)) ||
    (next[state] ?? []).some((to) => sure[to] === true && letters[to]?.has(letter) === true);
  for (let isNews = true; isNews;) {
    isNews = false;
    for (const [state, match] of matches.entries()) {
      if (sure[state] !== true || match === 'always') continue;
      if (alphabet.every((letter) => goesOn(state, letter))) continue;
      sure[state] = false;
      isNews = true;
    }
  }
  return sure;
}

/** Letters that tell the atoms apart: those that the pattern names and their neighbours, and one of each common kind. */
function alphabetOf(atoms: readonly Node[], flags: string): string[] {
  const points = new Set(COMMON_LETTERS);
  for (const { atom = '' } of atoms)
    for (const each of atom) {
      const point = each.codePointAt(0) ?? 0;
      for (const near of [point - 1, point, point + 1]) if (near >= 0) points.add(near);
    }
  const isWhole = /[uv]/.test(flags);
  const all = [...points]
    .map((point) => String.fromCodePoint(point))
    .filter((letter) => isWhole || letter.length === 1);
  // Letters that the same atoms take are one letter.
  const kinds = new Map<string, string>();
  const tests = [...new Set(atoms.map(({ atom = '' }) => atom))].map((each) => wholly(each, flags));
  for (const letter of all) {
    const kind = [ENDS_LINE.test(letter), ...tests.map((regex) => regex.test(letter))].join();
    if (!kinds.has(kind)) kinds.set(kind, letter);
  }
  return [...kinds.values()];
}

function wholly(atom: string, flags: string): RegExp {
  const source = atom === '/' ? '\\/' : atom;
  return new RegExp(`^(?:${source})$`, flags.replaceAll(/[gymd]/g, ''));
}

function taken({ atom = '' }: Node, alphabet: readonly string[], flags: string): Set<string> {
  const regex = wholly(atom, flags);
  return new Set(alphabet.filter((letter) => regex.test(letter)));
}
