import { automatonOf, type Automaton } from './automaton.ts';
import { parsePattern } from './pattern.ts';

/**
 * How the time of a backtracking engine may grow with the text. `polynomial`: at any place a loop can hand the same text to
 * a second loop; the search for the start of a match counts as a loop. `exponential`: one loop can take the same text in two
 * ways. `pump` is a text whose repetition makes it so.
 */
export type Growth =
  | { readonly kind: 'linear' }
  | { readonly kind: 'polynomial' | 'exponential'; readonly pump: string };

export function growthOf(source: string, flags: string): Growth {
  const automaton = automatonOf(parsePattern(source), flags);
  const loops = automaton.next.map((_, state) => state).filter((state) => isLoop(automaton, state));
  for (const state of loops) {
    const pump = takenTwice(automaton, state);
    if (pump !== undefined) return { kind: 'exponential', pump };
  }
  for (const one of loops)
    for (const other of loops) {
      const pump = one === other ? undefined : handedOver(automaton, one, other);
      if (pump !== undefined) return { kind: 'polynomial', pump };
    }
  return { kind: 'linear' };
}

function isLoop({ next }: Automaton, state: number): boolean {
  const seen = new Set<number>();
  const left = [...(next[state] ?? [])];
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    if (at === state) return true;
    if (seen.has(at)) continue;
    seen.add(at);
    left.push(...(next[at] ?? []));
  }
  return false;
}

/** A text that leads from a state back to it in two ways. */
function takenTwice(automaton: Automaton, state: number): string | undefined {
  const step = ([one = 0, other = 0, parted = 0]: readonly number[]): number[][] =>
    pairs(automaton, one, other).map(([to, too, isDouble]) => {
      return [to, too, parted === 1 || to !== too || isDouble ? 1 : 0];
    });
  return search(automaton, [state, state, 0], [state, state, 1], step, 2);
}

function pairs({ next }: Automaton, one: number, other: number): [number, number, boolean][] {
  const [ways, too] = [next[one] ?? [], next[other] ?? []];
  return ways.flatMap((to) =>
    too.map((each): [number, number, boolean] => {
      const isDouble = to === each && ways.indexOf(to) !== ways.lastIndexOf(to);
      return [to, each, isDouble];
    }),
  );
}

/** A text that one loop takes, that the other takes, and that leads from one to the other. */
function handedOver(automaton: Automaton, one: number, other: number): string | undefined {
  const { next } = automaton;
  const step = ([first = 0, way = 0, last = 0]: readonly number[]): number[][] =>
    (next[first] ?? []).flatMap((to) =>
      (next[way] ?? []).flatMap((too) => (next[last] ?? []).map((end) => [to, too, end])),
    );
  return search(automaton, [one, one, other], [one, other, other], step, 3);
}

/** Breadth first over states side by side that take the same letters; a match ends an attempt, and its way with it. */
function search(
  { letters, accepts }: Automaton,
  from: readonly number[],
  to: readonly number[],
  step: (states: readonly number[]) => number[][],
  width: number,
): string | undefined {
  const texts = new Map([[from.join(), '']]);
  const goal = to.join();
  for (const key of texts.keys()) {
    for (const states of step(key.split(',').map(Number))) {
      const side = states.slice(0, width);
      const name = states.join();
      if (texts.has(name) || side.some((state) => accepts[state] === true)) continue;
      const letter = common(side.map((state) => letters[state] ?? new Set()));
      if (letter === undefined) continue;
      const text = `${texts.get(key) ?? ''}${letter}`;
      if (name === goal) return text;
      texts.set(name, text);
    }
  }
  return undefined;
}

function common([first, ...others]: readonly ReadonlySet<string>[]): string | undefined {
  return [...(first ?? [])].find((letter) => others.every((each) => each.has(letter)));
}
