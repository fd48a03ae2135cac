import { movesFrom } from './moves.ts';
import { isDeadEnd } from './resolving.ts';
import type { Rules } from './rules.ts';
import { firstWorld, type World } from './world.ts';

export interface ThirdHostsExplored {
  readonly states: number;
  readonly moves: number;
  readonly depth: number;
  readonly ms: number;
  readonly exhaustive: boolean;
  /** The shortest way to two running copies, or to a held migration without an answer that is accepted, in words. */
  readonly violation: readonly string[] | undefined;
}

/** Explores breadth first every state that the hosts around one migration can come to, with at most `faults` faults. */
export function exploreThirdHosts(
  rules: Rules,
  { faults, mostStates }: { readonly faults: number; readonly mostStates: number },
): ThirdHostsExplored {
  const began = performance.now();
  const first = firstWorld(faults);
  const seen = new Map<string, { readonly from: string | undefined; readonly label: string }>();
  seen.set(JSON.stringify(first), { from: undefined, label: '' });
  let [level, depth, moves]: [World[], number, number] = [[first], 0, 0];
  const found = (violation: readonly string[] | undefined, exhaustive: boolean) => {
    const ms = performance.now() - began;
    return { states: seen.size, moves, depth, ms, exhaustive, violation };
  };
  while (level.length > 0) {
    const next: World[] = [];
    for (const world of level) {
      const from = JSON.stringify(world);
      for (const [label, reached] of movesFrom(world, rules)) {
        moves += 1;
        if (reached.runs.length > 1 || isDeadEnd(reached, rules)) {
          return found([...wayTo(from, seen), label], false);
        }
        const key = JSON.stringify(reached);
        if (seen.has(key)) continue;
        seen.set(key, { from, label });
        next.push(reached);
      }
      if (seen.size > mostStates) return found(undefined, false);
    }
    level = next;
    if (next.length > 0) depth += 1;
  }
  return found(undefined, true);
}

function wayTo(
  key: string,
  seen: ReadonlyMap<string, { readonly from: string | undefined; readonly label: string }>,
): string[] {
  const way: string[] = [];
  for (let at = seen.get(key); at?.from !== undefined; at = seen.get(at.from))
    way.unshift(at.label);
  return way;
}
