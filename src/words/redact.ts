export const REMOVED = '(removed)';
/** Names of fields with possible secrets. `options` has settings for a manager's driver. */
const SECRET_FIELD =
  /pass(word|phrase)?|secret|token|credential|private|cookie|authori[sz]ation|^options$/i;
/** A token, a session's secret, a join token, a PEM key, and the user of a URL. */
const SECRET_TEXT =
  /gd[ws]_[A-Za-z0-9_-]+|gwj1\/[A-Za-z0-9._:/[\]-]+|-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?(-----END [A-Z ]*-----|$)|(?<=:\/\/)[^/\s"]*@/g;
/** Shorter lines of a secret file occur in other text by chance. */
const MIN_SECRET_CHARS = 16;

/** Removes patterns of secrets, and the lines of `secrets`, the contents of secret files. */
export function redactText(text: string, secrets: readonly string[] = []): string {
  const lines = secrets
    .flatMap((secret) => secret.split('\n').map((line) => line.trim()))
    .filter((line) => line.length >= MIN_SECRET_CHARS);
  let left = text.replace(SECRET_TEXT, REMOVED);
  for (const line of new Set(lines)) left = left.replaceAll(line, REMOVED);
  return left;
}

/** Like `redactText` for a JSON value; the value of a field with a secret's name is removed whole. */
export function redactValue(value: unknown): unknown {
  if (typeof value === 'string') return redactText(value);
  if (Array.isArray(value)) return value.map(redactValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      redactText(name),
      SECRET_FIELD.test(name) ? REMOVED : redactValue(each),
    ]),
  );
}
