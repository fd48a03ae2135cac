import type { GodwitError } from '../../errors.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** RFC 9457 form of an error; `code`, `hint`, `retryable` and `facts` are extensions. */
export function problemOf(error: GodwitError): object {
  const { code, message, hint, retryable, facts, http } = error;
  const title = code
    .replace(/^GODWIT_/, '')
    .toLowerCase()
    .replaceAll('_', ' ');
  return {
    type: `urn:godwit:error:${title.replaceAll(' ', '-')}`,
    title,
    status: http,
    detail: message,
    code,
    hint,
    retryable,
    facts,
  };
}
