import type { Problem } from '../base/http.ts';
import { sentence } from '../base/problem-words.ts';
import { Icon } from './icons.tsx';

/** Something failed: what, what to do, and a way to try it again. */
export function ProblemNote({ problem, again }: { problem: Problem; again?: () => void }) {
  return (
    <div class="notice bad" role="alert">
      <Icon of="warn" size={18} />
      <div class="grow">
        <strong>{sentence(problem.message)}</strong>
        {problem.hint === '' ? null : <p>{withCode(problem.hint)}</p>}
        <p class="soft">
          <code>{problem.code}</code>
        </p>
      </div>
      {again === undefined ? null : (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** What stands between backticks is to be typed. */
function withCode(text: string): preact.ComponentChildren {
  return text.split('`').map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part));
}

/** An empty list that is not an error: the reason, and how to fill it. */
export function Empty({ title, children }: { title: string; children?: preact.ComponentChildren }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {children}
    </div>
  );
}

/** Placeholder with the shape of the content that is loading. */
export function Loading({ what, lines = 4 }: { what: string; lines?: number }) {
  return (
    <div class="loading" role="status">
      <span class="hidden">Loading {what}…</span>
      {Array.from({ length: lines }, (_, at) => (
        <i key={at} aria-hidden="true" />
      ))}
    </div>
  );
}
