/**
 * Decides whether another host is dead: its kernel was asked over every path, and was silent for a whole period. Any
 * answer proves life, and unknown never counts as dead. Pure.
 *
 * Silence can also come from this host's firewall or link. It proves nothing unless another host answers over the
 * same path meanwhile.
 */

/** `unknown`: this side could not ask, or another host answered in its place. */
export interface KernelAnswer {
  readonly what: 'answer' | 'silence' | 'unknown';
  readonly said: string;
}

/** One question over one path, ms of the monotonic clock. */
export interface Question {
  readonly path: string;
  readonly askedAtMs: number;
  readonly endedAtMs: number;
  readonly heard: KernelAnswer;
}

export interface DarkTerms {
  readonly silenceMs: number;
  readonly answerMs: number;
  /** Maximum pause between two questions over one path; a longer one restarts the period of silence. */
  readonly breakMs: number;
}

interface Span {
  readonly sinceMs: number;
  readonly untilMs: number;
}

export interface DarkWatch {
  readonly terms: DarkTerms;
  readonly silent: ReadonlyMap<string, Span | undefined>;
  /** Time of another host's answers, by path. */
  readonly open: ReadonlyMap<string, Span | undefined>;
  readonly verdict: DarkVerdict;
}

export type DarkVerdict =
  | { readonly kind: 'wait' }
  | { readonly kind: 'dark'; readonly forMs: number }
  | { readonly kind: 'not-dark'; readonly why: string };

export function beginDarkWatch(paths: readonly string[], terms: DarkTerms): DarkWatch {
  const verdict: DarkVerdict =
    paths.length === 0 ? { kind: 'not-dark', why: 'no address of it is known' } : { kind: 'wait' };
  const none = new Map(paths.map((path) => [path, undefined]));
  return { terms, silent: none, open: none, verdict };
}

export function afterAnotherAnswered(watch: DarkWatch, path: string, atMs: number): DarkWatch {
  const span = watch.open.get(path);
  const { answerMs, breakMs } = watch.terms;
  const isUnbroken =
    span !== undefined && atMs >= span.untilMs && atMs - span.untilMs <= answerMs + breakMs;
  const open = new Map(watch.open);
  open.set(path, { sinceMs: isUnbroken ? span.sinceMs : atMs, untilMs: atMs });
  return { ...watch, open };
}

/** A verdict is final: later questions change nothing. */
export function afterQuestion(watch: DarkWatch, question: Question): DarkWatch {
  if (watch.verdict.kind !== 'wait') return watch;
  const { path, heard } = question;
  if (heard.what !== 'silence') {
    const verb = heard.what === 'answer' ? 'it answers' : 'unknown';
    const why = `${verb} at ${path}: ${heard.said}`;
    return { ...watch, verdict: { kind: 'not-dark', why } };
  }
  const silent = new Map(watch.silent);
  silent.set(path, spanAfter(silent.get(path), question, watch.terms));
  return {
    ...watch,
    silent,
    verdict: judge([...silent.values(), ...watch.open.values()], question.endedAtMs, watch.terms),
  };
}

/** Ignores a question that ended long after its deadline: this process stalled, and may have missed an answer. */
function spanAfter(
  span: Span | undefined,
  { askedAtMs, endedAtMs }: Question,
  { answerMs, breakMs }: DarkTerms,
): Span | undefined {
  const tookMs = endedAtMs - askedAtMs;
  if (tookMs < 0 || tookMs > answerMs + breakMs) return undefined;
  const isUnbroken =
    span !== undefined && askedAtMs >= span.untilMs && askedAtMs - span.untilMs <= breakMs;
  return { sinceMs: isUnbroken ? span.sinceMs : askedAtMs, untilMs: endedAtMs };
}

/** Verdict on the period, until now, when all paths were silent and open at once. */
function judge(
  spans: readonly (Span | undefined)[],
  nowMs: number,
  { silenceMs, answerMs, breakMs }: DarkTerms,
): DarkVerdict {
  let [sinceMs, untilMs] = [-Infinity, nowMs];
  for (const span of spans) {
    if (span === undefined) return { kind: 'wait' };
    sinceMs = Math.max(sinceMs, span.sinceMs);
    untilMs = Math.min(untilMs, span.untilMs);
  }
  const isNow = nowMs - untilMs <= answerMs + breakMs;
  const forMs = untilMs - sinceMs;
  return isNow && forMs >= silenceMs ? { kind: 'dark', forMs } : { kind: 'wait' };
}
