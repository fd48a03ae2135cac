/**
 * A known defect: a line of the product's source made wrong as it is read. The product itself has no switch for it. What
 * finds defects must find each of them: a witness that cannot see a hole that is there says nothing where it sees none.
 */
export interface Hole {
  /** Below the repository's root. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** What is then possible. */
  readonly what: string;
}

const HOOK = new URL('hook.ts', import.meta.url).href;

/** Throws with the names of the known ones. */
export function holeNamed<H extends Hole>(all: Readonly<Record<string, H>>, name: string): H {
  const hole = Object.hasOwn(all, name) ? all[name] : undefined;
  if (hole !== undefined) return hole;
  throw new Error(`there is no hole ${name}: choose ${Object.keys(all).join(', ')}`);
}

/** What gives a program of Node, and the programs that it starts, one of these defects. */
export function holeEnvironment(
  all: Readonly<Record<string, Hole>>,
  name: string,
  otherHooks: readonly string[] = [],
): Readonly<Record<'NODE_OPTIONS' | 'GODWIT_HOLE', string>> {
  const { file, from, to, what } = holeNamed(all, name);
  const hole: Hole = { file, from, to, what };
  const hooks = [...otherHooks, HOOK].map((hook) => `--import=${hook}`);
  return { NODE_OPTIONS: hooks.join(' '), GODWIT_HOLE: JSON.stringify(hole) };
}

/** Every program that this one starts from now on has the defect. */
export function openHole(all: Readonly<Record<string, Hole>>, name: string): void {
  Object.assign(process.env, holeEnvironment(all, name));
}
