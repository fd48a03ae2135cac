/** What the patterns of a run of the tests mean. Pure. */

export interface TestSelection {
  readonly files: readonly string[];
  /** Names of tests, where that is what the patterns are. */
  readonly names: readonly string[];
}

/**
 * Files whose path holds one of the patterns or, where no path holds any, those whose text holds one: patterns are names of
 * tests then. `unknown`: patterns that mean nothing, for which everything would be run in vain.
 */
export function meantBy(
  patterns: readonly string[],
  all: readonly string[],
  textOf: (file: string) => string,
): TestSelection | { readonly unknown: readonly string[] } {
  if (patterns.length === 0) return { files: all, names: [] };
  const hasPath = (pattern: string): boolean => all.some((file) => file.includes(pattern));
  const strange = patterns.filter((pattern) => !hasPath(pattern));
  if (strange.length === 0) {
    return {
      files: all.filter((file) => patterns.some((pattern) => file.includes(pattern))),
      names: [],
    };
  }
  if (strange.length < patterns.length) return { unknown: strange };
  const holds = (text: string, pattern: string): boolean =>
    text.includes(pattern) || (expressionOf(pattern)?.test(text) ?? false);
  const files = new Set<string>();
  const unknown = patterns.filter((pattern) => {
    const holding = all.filter((file) => holds(textOf(file), pattern));
    for (const file of holding) files.add(file);
    return holding.length === 0;
  });
  return unknown.length > 0
    ? { unknown }
    : { files: all.filter((file) => files.has(file)), names: patterns };
}

function expressionOf(pattern: string): RegExp | undefined {
  try {
    return new RegExp(pattern);
  } catch {
    return undefined;
  }
}
