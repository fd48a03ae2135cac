import { GodwitError, toGodwitError } from '../../../src/errors.ts';
import { ERRORS, errorNameOf, type ErrorName } from '../events.ts';
import type { Script } from './extract.ts';

/** What the ports of the movers answer, by name. */

export type Mode = 'precopy' | 'hybrid';

/** Asks; an answer that names an error is thrown. */
export async function command(script: Script, name: string, ...answers: string[]): Promise<string> {
  const answer = await script.ask(name, answers);
  if (isError(answer)) throw new GodwitError(ERRORS[answer]);
  return answer;
}

const isError = (answer: string): answer is ErrorName => Object.hasOwn(ERRORS, answer);

/** What counts of an error is its code. A defect of the model's own ports is thrown on. */
export function howItFailed(thrown: unknown, script: Script): ErrorName {
  const refused =
    thrown instanceof Error && thrown.name === 'RefusedByChecks' ? thrown.cause : thrown;
  const error = toGodwitError(refused);
  if (error.code === 'GODWIT_INTERNAL' && !script.signal.aborted) throw thrown;
  return errorNameOf(error.toJSON());
}
