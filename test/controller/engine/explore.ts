import { Model, type Bounds, type Flaw } from './model.ts';

export interface ExplorationResult {
  readonly states: number;
  readonly choices: number;
  readonly fairRuns: number;
  /** False where the bound on states cut it short. */
  readonly isExhaustive: boolean;
  /** The rule that was broken, and what led there. */
  readonly broken?: { readonly rule: string; readonly trace: readonly string[] };
}

interface Options {
  readonly flaws?: readonly Flaw[];
  readonly mostStates: number;
  /** From each so-manieth state a run without further faults must come to an end. */
  readonly fairEach?: number;
}

const MAX_FAIR = 200;

/** Every state that the model can come to, the nearest first; each is reached again from the start, by its choices. */
export async function explore(bounds: Bounds, options: Options): Promise<ExplorationResult> {
  const { flaws = [], mostStates, fairEach = 40 } = options;
  const seen = new Set<string>();
  let [choices, fairRuns] = [0, 0];
  const replay = async (path: readonly number[]): Promise<{ model: Model; trace: string[] }> => {
    const model = new Model(bounds, flaws);
    await Promise.resolve();
    const trace: string[] = [];
    for (const place of path) {
      const choice = model.choices()[place];
      if (choice === undefined)
        throw new Error(`the model is not the same again: ${trace.join('; ')}`);
      trace.push(choice.name);
      await model.take(choice);
    }
    return { model, trace };
  };
  const paths: number[][] = [[]];
  let next = 0;
  for (; next < paths.length && seen.size < mostStates; next += 1) {
    const path = paths[next] ?? [];
    paths[next] = [];
    const { model, trace } = await replay(path);
    choices += 1;
    const ended = (rule: string): ExplorationResult => {
      const counts = { states: seen.size, choices, fairRuns, isExhaustive: false };
      return { ...counts, broken: { rule, trace } };
    };
    if (model.broken !== undefined) return ended(model.broken);
    const key = model.key();
    if (seen.has(key)) continue;
    seen.add(key);
    const open = model.choices();
    for (const place of open.keys()) paths.push([...path, place]);
    if (seen.size % fairEach === 0) {
      fairRuns += 1;
      const rule = await fairRun(model, trace);
      if (rule !== undefined) return ended(rule);
    }
  }
  return { states: seen.size, choices, fairRuns, isExhaustive: next === paths.length };
}

/** Goes on without a fault: every call is answered, every migration ends, and the fleet is looked at. */
async function fairRun(model: Model, trace: string[]): Promise<string | undefined> {
  let turn = 0;
  for (; turn < MAX_FAIR && !model.isOver; turn += 1) {
    const choices = model
      .choices()
      .filter(({ isFault, name }) => !isFault && !name.startsWith('cancel ('));
    const choice = choices[turn % choices.length];
    if (choice === undefined) break;
    trace.push(choice.name);
    await model.take(choice);
    if (model.broken !== undefined) return model.broken;
  }
  model.checkEnd();
  return model.broken;
}

export interface WalkResult {
  readonly walks: number;
  readonly moves: number;
  readonly broken?: { readonly rule: string; readonly trace: readonly string[] };
}

const MAX_STEPS = 80;

/** Far from the start, where not every state can be visited: walks by chance, each to a fair end, the same for a seed. */
export async function walk(
  bounds: Bounds,
  {
    walks,
    seed,
    flaws = [],
  }: { readonly walks: number; readonly seed: number; readonly flaws?: readonly Flaw[] },
): Promise<WalkResult> {
  let state = seed >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  let moves = 0;
  for (let done = 1; done <= walks; done += 1) {
    const model = new Model(bounds, flaws);
    await Promise.resolve();
    const trace: string[] = [];
    let resting = '';
    for (let turn = 0; turn < MAX_STEPS && model.broken === undefined; turn += 1) {
      // One controller does nothing for a while, as one that was stopped.
      if (random(12) === 0) resting = ['', 'one: ', 'two: '][random(3)] ?? '';
      const open = model.choices();
      const awake = open.filter(({ name }) => resting === '' || !name.startsWith(resting));
      const all = awake.length > 0 ? awake : open;
      // Faults are many and mostly idle: most steps are of the others.
      const sound = all.filter(({ isFault }) => !isFault);
      const from = random(6) === 0 ? all : sound;
      const choice = from[random(from.length)];
      if (choice === undefined) break;
      trace.push(choice.name);
      moves += 1;
      await model.take(choice);
    }
    const rule = model.broken ?? (await fairRun(model, trace));
    if (rule !== undefined) return { walks: done, moves, broken: { rule, trace } };
  }
  return { walks, moves };
}
