import { isUnreachable } from '../base/http.ts';
import { connection } from '../base/live.ts';
import type { LoadState } from '../base/load.ts';
import { Loading, ProblemNote } from './notices.tsx';

/** The three ways in which an answer can stand: not yet, not at all, or there, even if a newer one failed. */
export function Shown<T>({
  of,
  what,
  lines,
  children,
}: {
  of: LoadState<T>;
  what: string;
  lines?: number;
  children: (value: T) => preact.ComponentChildren;
}) {
  const { value, again } = of;
  // One message is enough: the top of the page reports the lost connection, and the content returns by itself.
  const isCut = connection.value.state !== 'live';
  const problem =
    of.problem !== undefined && isCut && isUnreachable(of.problem) ? undefined : of.problem;
  return (
    <>
      {problem === undefined ? null : <ProblemNote problem={problem} again={again} />}
      {value === undefined && problem === undefined ? (
        <Loading what={what} {...(lines === undefined ? {} : { lines })} />
      ) : null}
      {value === undefined ? null : children(value)}
    </>
  );
}
