import type { AuditEntry, AuditMeans } from '../../../src/protocol/controller/audit.ts';

/** How it is known who asked. */
export const MEANS: Readonly<Record<AuditMeans, string>> = {
  certificate: 'by certificate',
  socket: 'by the Unix socket',
  token: 'by token',
  session: 'in a session',
  oidc: 'by the provider',
  none: 'a stranger',
};

/** What came of it. Pure. */
export function resultOf({ result }: Pick<AuditEntry, 'result'>): {
  readonly words: string;
  /** Of a badge; its glyph has the same name. */
  readonly tone: 'good' | 'warn' | 'bad';
} {
  if (result === undefined) return { words: 'result unknown', tone: 'warn' };
  if (result === 'ok') return { words: 'done', tone: 'good' };
  return { words: result, tone: 'bad' };
}

/** What was asked, a line for each value: `body.name: ann`. JSON that was cut stays as it is. Pure. */
export function argumentLines(text: string): string[] {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return [text];
  }
  return [...linesOf(read, '')];
}

function* linesOf(value: unknown, at: string): Generator<string> {
  if (typeof value !== 'object' || value === null) {
    yield `${at === '' ? '' : `${at}: `}${typeof value === 'string' ? value : JSON.stringify(value)}`;
    return;
  }
  const isPlainList = Array.isArray(value) && value.every((each) => typeof each !== 'object');
  if (isPlainList) yield `${at}: ${value.join(', ')}`;
  else
    for (const [name, each] of Object.entries(value))
      yield* linesOf(each, at === '' ? name : `${at}.${name}`);
}

/** Moments since which the page shows entries. */
export const SINCE = { hour: 3_600_000, day: 86_400_000, week: 7 * 86_400_000 } as const;
export type Since = keyof typeof SINCE;

export const isSince = (text: string | null): text is Since =>
  text !== null && Object.hasOwn(SINCE, text);
