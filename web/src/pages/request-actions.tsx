import { useRef, useState } from 'preact/hooks';
import type { FleetRequest } from '../../../src/protocol/controller/fleet-request.ts';
import { asProblem, type Problem } from '../base/http.ts';
import { lowerFirst } from '../base/text.ts';
import { toast } from '../base/toasts.ts';
import { Icon } from '../components/icons.tsx';
import { ProblemNote } from '../components/notices.tsx';
import { titleOf } from '../requests/ask.ts';
import { endDrain } from '../requests/end-drain.ts';
import { expectResult } from '../requests/results.ts';
import { cancel } from '../requests/requests.ts';

/** Says what cancelling does before it does it. */
export function CancelRequest({ request, again }: { request: FleetRequest; again: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [rollBack, setRollBack] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const confirm = async (): Promise<void> => {
    setProblem(undefined);
    try {
      await cancel(request.id, rollBack);
      expectResult(request.id);
      toast({ words: `The cancel of ${lowerFirst(titleOf(request.ask))} is accepted.` });
      dialog.current?.close();
      again();
    } catch (thrown) {
      setProblem(asProblem(thrown));
    }
  };
  return (
    <>
      <button type="button" onClick={() => dialog.current?.showModal()}>
        <Icon of="bad" size={12} /> Cancel…
      </button>
      <dialog ref={dialog} aria-labelledby="cancel-title">
        <div class="stack">
          <h2 id="cancel-title">Cancel the {lowerFirst(titleOf(request.ask))}?</h2>
          <p>
            No further moves start. Guests that have moved stay on their new hosts. What should
            happen to the moves in progress?
          </p>
          <div class="stack choices" role="radiogroup" aria-label="Moves in progress">
            <label class="row">
              <input
                type="radio"
                name="under-way"
                checked={!rollBack}
                onChange={() => setRollBack(false)}
              />
              <span>
                <strong>They continue to their end.</strong>
              </span>
            </label>
            <label class="row">
              <input
                type="radio"
                name="under-way"
                checked={rollBack}
                onChange={() => setRollBack(true)}
              />
              <span>
                <strong>They are rolled back,</strong> if the switchover has not begun. Their guests
                keep running at the source.
              </span>
            </label>
          </div>
          {problem === undefined ? null : <ProblemNote problem={problem} />}
          <div class="row">
            <button type="button" class="danger" onClick={() => void confirm()}>
              Cancel it
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

/** Lets guests come again to hosts that were drained. */
export function Undrain({ hosts }: { hosts: readonly string[] }) {
  const [problem, setProblem] = useState<Problem>();
  const [isDone, setDone] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const end = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      for (const host of hosts) await endDrain(host);
      setDone(true);
    } catch (thrown) {
      setProblem(asProblem(thrown));
    }
    setBusy(false);
  };
  if (isDone)
    return (
      <span role="status">
        Guests may come to {hosts.length === 1 ? hosts[0] : 'these hosts'} again.
      </span>
    );
  return (
    <>
      <button type="button" disabled={isBusy} onClick={() => void end()}>
        <Icon of="back" /> {isBusy ? 'Ending the drain…' : 'Let guests move there again'}
      </button>
      {problem === undefined ? null : <ProblemNote problem={problem} />}
    </>
  );
}
