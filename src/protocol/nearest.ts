/** Longer names are not compared, because they are no typing errors. */
const MAX_LENGTH = 128;

/**
 * The nearest of `names` that may have been meant: one edit for short names, a third of the letters for longer ones, or
 * a unique prefix.
 */
export function nearest(wanted: string, names: Iterable<string>): string | undefined {
  if (wanted === '' || wanted.length > MAX_LENGTH) return undefined;
  const asked = wanted.toLowerCase();
  const candidates = [...new Set(names)].filter((name) => name.length <= MAX_LENGTH);
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of candidates) {
    const distance = editDistance(asked, name.toLowerCase());
    const limit = Math.max(1, Math.floor(Math.max(name.length, wanted.length) / 3));
    // Every one-letter name is one edit from any other, so only its capital counts.
    const near = distance <= limit && distance < Math.max(name.length, wanted.length);
    if (near && (best === undefined || distance < best.distance)) best = { name, distance };
  }
  if (best !== undefined) return best.name;
  const begun = candidates.filter((name) => name.toLowerCase().startsWith(asked));
  return begun.length === 1 ? begun[0] : undefined;
}

export function didYouMean(wanted: string, names: Iterable<string>): string | undefined {
  const name = nearest(wanted, names);
  return name === undefined ? undefined : `Did you mean ${name}?`;
}

export function editDistance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1];
      let distance = Math.min(
        at(last, column - 1) + (same ? 0 : 1),
        at(last, column) + 1,
        at(current, column - 1) + 1,
      );
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && swapped) {
        distance = Math.min(distance, at(beforeLast, column - 2) + 1);
      }
      current.push(distance);
    }
    beforeLast = last;
    last = current;
  }
  return at(last, right.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? 0;
}
