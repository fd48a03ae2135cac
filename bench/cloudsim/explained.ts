/**
 * For each series: the share of its variance that all other series explain, by least squares with a constant
 * (multiple correlation, squared). Undefined where it can't be known: one series alone, fewer samples than series, or
 * series that depend on each other exactly. All have the same length. The order of operations is the usual one of a
 * Householder decomposition, since nearly dependent series give digits that depend on it.
 */
export function explained(series: readonly (readonly number[])[]): number[] | undefined {
  const samples = series[0]?.length ?? 0;
  if (series.length < 2 || series.length > samples) return undefined;
  const shares: number[] = [];
  for (const [left, values] of series.entries()) {
    const others = series.filter((_, place) => place !== left);
    const columns = [
      Float64Array.from({ length: samples }, () => 1),
      ...others.map((other) => Float64Array.from(other)),
    ];
    const weights = leastSquares(
      columns.map((column) => column.slice()),
      Float64Array.from(values),
    );
    if (weights === undefined) return undefined;
    shares.push(1 - unexplained(columns, weights, values) / variation(values));
  }
  return shares;
}

/** Solves by reflections, in place. Undefined for columns that depend on each other. */
function leastSquares(columns: Float64Array[], target: Float64Array): Float64Array | undefined {
  const diagonal: number[] = [];
  for (const [step, pivot] of columns.entries()) {
    let squares = 0;
    for (let row = step; row < pivot.length; row += 1) squares += at(pivot, row) * at(pivot, row);
    const length = at(pivot, step) > 0 ? -Math.sqrt(squares) : Math.sqrt(squares);
    if (length === 0) return undefined;
    diagonal.push(length);
    pivot[step] = at(pivot, step) - length;
    for (const column of columns.slice(step + 1)) reflect(column, pivot, step, length);
  }
  for (const [step, pivot] of columns.entries()) {
    reflect(target, pivot, step, diagonal[step] ?? 0);
  }
  const weights = new Float64Array(columns.length);
  for (let row = columns.length - 1; row >= 0; row -= 1) {
    const weight = at(target, row) / (diagonal[row] ?? 0);
    weights[row] = weight;
    const column = columns[row] ?? target;
    for (let above = 0; above < row; above += 1) {
      target[above] = at(target, above) - weight * at(column, above);
    }
  }
  return weights;
}

function reflect(column: Float64Array, pivot: Float64Array, step: number, length: number): void {
  let product = 0;
  for (let row = step; row < column.length; row += 1) product += at(column, row) * at(pivot, row);
  const part = product / (length * at(pivot, step));
  for (let row = step; row < column.length; row += 1) {
    column[row] = at(column, row) + part * at(pivot, row);
  }
}

function unexplained(
  columns: readonly Float64Array[],
  weights: Float64Array,
  values: readonly number[],
): number {
  let sum = 0;
  for (const [row, value] of values.entries()) {
    let fitted = 0;
    for (const [place, column] of columns.entries()) fitted += at(column, row) * at(weights, place);
    sum += (value - fitted) * (value - fitted);
  }
  return sum;
}

function variation(values: readonly number[]): number {
  let mean = 0;
  let sum = 0;
  for (const [before, value] of values.entries()) {
    const distance = value - mean;
    const step = distance / (before + 1);
    mean += step;
    sum += before * distance * step;
  }
  return sum;
}

const at = (values: Float64Array, place: number): number => values[place] ?? 0;
