/**
 * Parses a table of names: `one two: three four` gives both `one` and `two` the entries `three` and `four`. A
 * line with a leading space continues the line before, and `+family` stands for the family's entries. Pure.
 */
export function readTable(
  text: string,
  families: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
): ReadonlyMap<string, ReadonlySet<string>> {
  const table = new Map<string, ReadonlySet<string>>();
  for (const row of text.trim().split(/\n(?! )/)) {
    const [keys = '', names = ''] = row.split(':');
    const held = words(names).flatMap((name) =>
      name.startsWith('+') ? [...(families.get(name.slice(1)) ?? [])] : [name],
    );
    for (const key of words(keys)) table.set(key, new Set(held));
  }
  return table;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
