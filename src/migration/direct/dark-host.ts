/**
 * Whether another host may be taken for dead: its kernel was asked over every path, again and again, and has said nothing
 * for the whole of a time. One answer of any kind is life. Where nobody knows, the host is not taken for dead. Pure.
 *
 * A host whose own firewall or link drops what it sends hears silence too. So the same path must lead to somebody: while
 * the path is silent, another host has to answer over it, or the silence proves nothing.
 */

/** What a question to a host’s kernel brought; `unknown`: this side could not ask, or somebody else answered for it. */
export interface KernelAnswer {
  readonly what: 'answer' | 'silence' | 'unknown';
  /** For people. */
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
  /** How long the silence must last. */
  readonly silenceMs: number;
  /** How long a question waits for its answer. */
  readonly answerMs: number;
  /** From the end of a question to the next one over that path, at most; a longer break begins the silence anew. */
  readonly breakMs: number;
}

/** A time in which a path was silent without a break. */
interface Span {
  readonly sinceMs: number;
  readonly untilMs: number;
}

export interface DarkWatch {
  readonly terms: DarkTerms;
  readonly silent: ReadonlyMap<string, Span | undefined>;
  /** For each path, when another host was heard over it. */
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

/** Another host has answered over `path`, at that moment. */
export function afterAnotherAnswered(watch: DarkWatch, path: string, atMs: number): DarkWatch {
  const span = watch.open.get(path);
  const { answerMs, breakMs } = watch.terms;
  const isUnbroken =
    span !== undefined && atMs >= span.untilMs && atMs - span.untilMs <= answerMs + breakMs;
  const open = new Map(watch.open);
  open.set(path, { sinceMs: isUnbroken ? span.sinceMs : atMs, untilMs: atMs });
  return { ...watch, open };
}

/** What a question makes of the watch; once there is a verdict, nothing. */
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

/**
 * A question that ended long after its time is none: this process stalled meanwhile, and an answer may have come
 * that it has not read.
 */
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

/** The time in which all paths were silent and yet open, at once, where it reaches up to now. */
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
