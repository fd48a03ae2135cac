/** The statistics of the reference's rules, in the order of operations that gives its digits. */

/** The straight line by least squares through values, the newest first, of which the oldest lies at 1, the next at 2, ...; `start` is its value at 0. */
export function lineThrough(values: Float64Array): {
  readonly start: number;
  readonly slope: number;
} {
  let meanPlace = 0;
  let meanValue = 0;
  let squares = 0;
  let products = 0;
  let sumPlaces = 0;
  let sumValues = 0;
  for (let before = 0; before < values.length; before += 1) {
    const value = values[values.length - 1 - before] ?? 0;
    const place = before + 1;
    if (before === 0) {
      meanPlace = place;
      meanValue = value;
    } else {
      const fromPlace = place - meanPlace;
      const fromValue = value - meanValue;
      const weight = before / (1 + before);
      squares += fromPlace * fromPlace * weight;
      products += fromPlace * fromValue * weight;
      meanPlace += fromPlace / (1 + before);
      meanValue += fromValue / (1 + before);
    }
    sumPlaces += place;
    sumValues += value;
  }
  const slope = products / squares;
  return { slope, start: (sumValues - slope * sumPlaces) / values.length };
}

/** The distance between the quartiles. */
export function iqr(values: Float64Array): number {
  const sorted = values.toSorted();
  const at = (quarter: number): number =>
    sorted[Math.round(quarter * (sorted.length + 1)) - 1] ?? 0;
  return at(0.75) - at(0.25);
}

/** The median distance from the median. */
export function mad(values: Float64Array): number {
  const middle = median(values);
  return median(values.map((value) => Math.abs(middle - value)));
}

function median(values: Float64Array): number {
  const sorted = values.toSorted();
  const upper = Math.floor(sorted.length / 2);
  const high = sorted[upper] ?? 0;
  if (sorted.length % 2 === 1) return high;
  const low = sorted[upper - 1] ?? 0;
  return low + 0.5 * (high - low);
}
