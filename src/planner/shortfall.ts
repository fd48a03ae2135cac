/** Mean of the demand above `capacity`, in its unit. */
export function shortfall(mean: number, variance: number, capacity: number): number {
  const spare = capacity - mean;
  const deviation = Math.sqrt(Math.max(0, variance));
  if (deviation < 1e-9 * Math.max(1, capacity)) return Math.max(0, -spare);
  const z = spare / deviation;
  const density = Math.exp(-(z * z) / 2) / Math.sqrt(2 * Math.PI);
  return Math.max(0, deviation * density - spare * above(z));
}

/** Upper tail of a normal distribution, to about 1e-7 (Abramowitz and Stegun 26.2.17). */
function above(z: number): number {
  if (z < 0) return 1 - above(-z);
  const t = 1 / (1 + 0.231_641_9 * z);
  const series =
    t *
    (0.319_381_53 +
      t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
  return (Math.exp(-(z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
}
