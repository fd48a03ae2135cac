import { useRef, useState } from 'preact/hooks';
import type { Progress } from '../../../src/protocol/public/migration.ts';
import { ask, asProblem, type Problem } from '../base/http.ts';
import { toast } from '../base/toasts.ts';
import { cancelling } from '../moves/watched.ts';
import { ProblemNote } from '../components/notices.tsx';

/** Says what cancelling does at this moment before it does it, and afterwards what the source answered. */
export function CancelMigration({
  id,
  request,
  at,
}: {
  id: string;
  /** The request that it is a move of. */
  request: string | undefined;
  at: Pick<Progress, 'phase' | 'from' | 'to'>;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [problem, setProblem] = useState<Problem>();
  const [answer, setAnswer] = useState('');
  const { isPossible, words } = cancelling(at);
  const confirm = (): void => {
    setProblem(undefined);
    const named = request === undefined ? '' : `?request=${encodeURIComponent(request)}`;
    const url = `/v1/migrations/${encodeURIComponent(id)}/cancel${named}`;
    ask<{ what: string }>(url, { method: 'POST' })
      .then(({ what }) => {
        setAnswer(what);
        toast({
          words: `Cancel accepted: ${what}.`,
          link: { href: `/migrations/${id}`, words: 'Show it' },
        });
        dialog.current?.close();
      })
      .catch((thrown: unknown) => setProblem(asProblem(thrown)));
  };
  return (
    <>
      {answer === '' ? null : (
        <span class="soft" role="status">
          {answer}
        </span>
      )}
      <button type="button" onClick={() => dialog.current?.showModal()}>
        Cancel…
      </button>
      <dialog ref={dialog} aria-labelledby="cancel-title">
        <div class="stack">
          <h2 id="cancel-title">Cancel this migration?</h2>
          <p>{words}</p>
          {request === undefined ? null : (
            <p>
              It is a move of the request <a href={`/requests/${request}`}>{request}</a>. That
              request does not move this guest again; its other moves continue.
            </p>
          )}
          {problem === undefined ? null : <ProblemNote problem={problem} />}
          <div class="row">
            <button type="button" class="danger" disabled={!isPossible} onClick={confirm}>
              Roll it back
            </button>
            <button type="button" onClick={() => dialog.current?.close()}>
              Let it continue
            </button>
          </div>
        </div>
      </dialog>
    </>
  );
}
