import { MAX_AUDIT_ARGUMENTS } from '../../protocol/controller/audit.ts';
import { redactValue } from '../../words/redact.ts';

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
  const text = JSON.stringify(redactValue(Object.fromEntries(given)));
  if (text.length <= MAX_AUDIT_ARGUMENTS) return text;
  return `${text.slice(0, MAX_AUDIT_ARGUMENTS - 1)}…`;
}

function isEmpty(part: unknown): boolean {
  return part === undefined || (typeof part === 'object' && Object.keys(part ?? {}).length === 0);
}
