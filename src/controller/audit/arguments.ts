import { MAX_AUDIT_ARGUMENTS } from '../../protocol/controller/audit.ts';

const REMOVED = '(removed)';
/** Fields whose values may be secret, by their names. What only a manager's driver knows stands in `options`. */
const SECRET_FIELD =
  /pass(word|phrase)?|secret|token|credential|private|cookie|authori[sz]ation|^options$/i;
/** A token or a session's secret wherever it stands, a PEM key, and the user of a URL. */
const SECRET_TEXT =
  /gd[ws]_[A-Za-z0-9_-]+|-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?(-----END [A-Z ]*-----|$)|(?<=:\/\/)[^/\s"]*@/g;

/** What was asked, as it is kept: JSON without secrets, of a bounded length. Pure. */
export function keptArguments({
  params = {},
  query = {},
  body,
}: {
  readonly params?: object;
  readonly query?: object;
  readonly body?: unknown;
}): string {
  const given = Object.entries({ params, query, body }).filter(([, part]) => !isEmpty(part));
  const text = JSON.stringify(cleaned(Object.fromEntries(given)));
  if (text.length <= MAX_AUDIT_ARGUMENTS) return text;
  return `${text.slice(0, MAX_AUDIT_ARGUMENTS - 1)}…`;
}

function isEmpty(part: unknown): boolean {
  return part === undefined || (typeof part === 'object' && Object.keys(part ?? {}).length === 0);
}

/** Bodies come from JSON of a bounded length, and are as deep as their schemas. */
function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(SECRET_TEXT, REMOVED);
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name.replace(SECRET_TEXT, REMOVED),
      SECRET_FIELD.test(name) ? REMOVED : cleaned(each),
    ]),
  );
}
