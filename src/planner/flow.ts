/**
 * How moves share links. Each resource (a host's link in one direction, a trunk between sites) is shared max-min fairly:
 * who is held back elsewhere leaves its part to the others. Pure.
 */

/** What a move goes through, and the most that it can take alone, bytes/s: its processors bound it as well. */
export interface Flow {
  readonly resources: readonly number[];
  readonly most: number;
  /** What it gets, bytes/s: written by `shareOut`. */
  rate: number;
}

/** Gives each flow its rate. `capacity` is in bytes/s, by the number of the resource. */
export function shareOut(flows: readonly Flow[], capacity: readonly number[]): void {
  const left = [...capacity];
  const count = capacity.map(() => 0);
  for (const flow of flows) {
    flow.rate = -1;
    for (const each of flow.resources) count[each] = (count[each] ?? 0) + 1;
  }
  for (let open = flows.length; open > 0;) {
    const [level, resource] = tightest(left, count);
    let fixed = 0;
    for (const flow of flows) {
      if (flow.rate < 0 && flow.most <= level) fixed += fix(flow, flow.most, left, count);
    }
    if (fixed === 0) {
      for (const flow of flows) {
        if (flow.rate >= 0 || !flow.resources.includes(resource)) continue;
        fixed += fix(flow, level, left, count);
      }
    }
    if (fixed === 0) return;
    open -= fixed;
  }
}

/** The resource whose open flows get least, and what they get; Infinity and -1 where no open flow goes through any. */
function tightest(left: readonly number[], count: readonly number[]): [number, number] {
  let level = Infinity;
  let resource = -1;
  for (let each = 0; each < left.length; each += 1) {
    const open = count[each] ?? 0;
    if (open === 0) continue;
    const share = Math.max(0, left[each] ?? 0) / open;
    if (share >= level) continue;
    level = share;
    resource = each;
  }
  return [level, resource];
}

function fix(flow: Flow, rate: number, left: number[], count: number[]): 1 {
  flow.rate = rate;
  for (const each of flow.resources) {
    left[each] = (left[each] ?? 0) - rate;
    count[each] = (count[each] ?? 0) - 1;
  }
  return 1;
}
