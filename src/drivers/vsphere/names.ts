/** Godwit's names of vCenter objects. Pure. */

const MAX = 63;

/**
 * Godwit's name of a host: from the configuration, or vCenter's in lower case with `-` for invalid characters
 * (`esx1.example.com` is `esx1-example-com`). Undefined if nothing remains.
 */
export function hostNameOf(
  name: string,
  given: Readonly<Record<string, string>>,
): string | undefined {
  const own = Object.entries(given).find(([, theirs]) => theirs === name);
  if (own !== undefined) return own[0];
  const made = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, '-')
    .replace(/^-+/, '')
    .slice(0, MAX);
  return made === '' ? undefined : made;
}

/** vCenter writes `%`, `/` and `\` in names as %25, %2f and %5c. */
export function unescapedName(name: string): string {
  return name.replaceAll(/%(25|2f|5c)/gi, (_, code: string) =>
    String.fromCodePoint(Number.parseInt(code, 16)),
  );
}
