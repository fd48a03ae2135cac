/** Names of the vCenter, as Godwit says them. Pure. */

const MAX = 63;

/**
 * Godwit's name of a host: the one that the configuration gives it, or the vCenter's own in lower case with `-` for all that
 * a name of Godwit's cannot hold (`esx1.example.com` is `esx1-example-com`). Undefined where nothing is left.
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
