import type { OwnProblem } from '../../../src/protocol/controller/own-problems.ts';
import { ask } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { sentence } from '../base/problem-words.ts';
import { Icon } from './icons.tsx';

const LOOK_MS = 30_000;

interface Answer {
  readonly controller: string;
  readonly problems: readonly OwnProblem[];
}

/** Problems of the controller that serves this page. A controller of an earlier build reports none. */
export function OwnProblems() {
  const { value } = useLoaded(
    (until) => ask<Answer>('/v1/problems', { signal: until }),
    [],
    LOOK_MS,
  );
  if (value === undefined || value.problems.length === 0) return null;
  return (
    <section class="own-problems" aria-label="Problems of the controller">
      {value.problems.map(({ about, severity, words, hint }) => (
        <div key={`${about} ${words}`} class={`own-problem ${severity}`}>
          <Icon of="warn" />
          <span>
            <strong>
              Controller {value.controller}: {sentence(words)}
            </strong>{' '}
            {hint}
          </span>
        </div>
      ))}
    </section>
  );
}
