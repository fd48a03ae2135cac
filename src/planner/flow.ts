/**
 * Max-min fair sharing of resources (a host's link in one direction, a trunk between sites) among moves: a flow limited
 * elsewhere leaves its part to others. Pure.
 */

export interface Flow {
  readonly resources: readonly number[];
  readonly most: number;
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

/** The resource with the smallest share per open flow, and that rate; Infinity and -1 if no open flow uses any. */
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
