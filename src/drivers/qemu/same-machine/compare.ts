import { reasonFor, type Difference, type Reason } from './reasons.ts';
import type { MachineParts, Part } from './machine-parts.ts';

export interface Comparison {
  readonly same: number;
  readonly unknown: number;
  readonly allowed: ReadonlyMap<Reason, number>;
  readonly warned: readonly Difference[];
  readonly refused: readonly Difference[];
}

export function compareMachines(source: MachineParts, destination: MachineParts): Comparison {
  const result = {
    same: 0,
    unknown: 0,
    allowed: new Map<Reason, number>(),
    warned: [] as Difference[],
    refused: [] as Difference[],
  };
  const judge = (difference: Difference): void => {
    const reason = reasonFor(difference);
    if (reason === undefined) result.refused.push(difference);
    else if (reason.verdict === 'warn') result.warned.push(difference);
    else result.allowed.set(reason, (result.allowed.get(reason) ?? 0) + 1);
  };
  // A Godwit of another version may report more or fewer kinds.
  const kinds = new Set(source.kinds.filter((kind) => destination.kinds.includes(kind)));
  const known = (parts: readonly Part[]): Part[] => parts.filter(({ kind }) => kinds.has(kind));
  const there = new Map(known(destination.parts).map((part) => [keyOf(part), part]));
  for (const part of known(source.parts)) {
    const other = there.get(keyOf(part));
    there.delete(keyOf(part));
    if (other === undefined) {
      judge({ part: named(part), source: part.type, destination: undefined });
      continue;
    }
    if (other.type !== part.type) {
      judge({ part: named(part), property: 'type', source: part.type, destination: other.type });
    }
    const differences = differencesOf(part, other);
    result.same += differences.same;
    for (const each of differences.found) {
      // Each QEMU may have properties that the other lacks: the machine's version defines their values.
      const isNew = each.source === undefined || each.destination === undefined;
      if (isNew && source.version !== destination.version) result.unknown += 1;
      else judge(each);
    }
  }
  for (const part of there.values()) {
    judge({ part: named(part), source: undefined, destination: part.type });
  }
  return result;
}

function keyOf({ kind, place }: Part): string {
  return `${kind} ${place}`;
}

function named({ kind, place, type }: Part): Difference['part'] {
  return { kind, place, type };
}

function differencesOf(source: Part, destination: Part): { same: number; found: Difference[] } {
  const names = new Set([...Object.keys(source.props), ...Object.keys(destination.props)]);
  const found: Difference[] = [];
  for (const property of names) {
    const one = valueOf(source, property);
    const two = valueOf(destination, property);
    if (one === two) continue;
    found.push({ part: named(source), property, source: one, destination: two });
  }
  return { same: names.size - found.length, found };
}

/** Property names come from a peer, so inherited ones are ignored. */
function valueOf({ props }: Part, property: string): string | undefined {
  return Object.hasOwn(props, property) ? props[property] : undefined;
}
