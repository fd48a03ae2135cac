import { useRef, useState } from 'preact/hooks';
import type { Policy, PolicyMode, Proposal } from '../../../src/protocol/controller/policy.ts';
import { ask, asProblem, type Problem } from '../base/http.ts';
import { counted } from '../base/text.ts';
import { toast } from '../base/toasts.ts';
import { Icon } from '../components/icons.tsx';
import { ProblemNote } from '../components/notices.tsx';
import { acceptWords, decidedToast, policyTitle } from '../policies/text.ts';
import { expectResult } from '../requests/results.ts';

const HOUR_MS = 3_600_000;
const SNOOZES = [
  [HOUR_MS, '1 hour'],
  [12 * HOUR_MS, '12 hours'],
  [24 * HOUR_MS, 'a day'],
  [7 * 24 * HOUR_MS, 'a week'],
] as const;

type Decision = 'accept' | 'reject' | 'snooze';

interface AcceptAnswer {
  readonly accepted: readonly string[];
  readonly requests: readonly string[];
}

/** Accept, reject with a reason, or postpone; each action explains its effect first. */
export function Decide({
  proposal,
  mode,
  again,
}: {
  proposal: Proposal;
  mode: PolicyMode | undefined;
  again: () => void;
}) {
  const accepting = useRef<HTMLDialogElement>(null);
  const rejecting = useRef<HTMLDialogElement>(null);
  const [failed, setFailed] = useState<{ what: Decision; problem: Problem }>();
  const [reason, setReason] = useState('');
  const decide = (what: Decision, body?: object): void => {
    setFailed(undefined);
    const path = `/v1/proposals/${proposal.id}/${what}`;
    ask<Partial<AcceptAnswer>>(path, { method: 'POST', ...(body && { body }) })
      .then((answer) => {
        for (const each of answer.requests ?? []) expectResult(each);
        toast(decidedToast(what, answer.requests ?? []));
        accepting.current?.close();
        rejecting.current?.close();
        again();
      })
      .catch((thrown: unknown) => setFailed({ what, problem: asProblem(thrown) }));
  };
  // A note is shown where the decision was taken: one in a dialog that is shut is seen by nobody.
  const noteOf = (what: Decision) =>
    failed?.what === what ? <ProblemNote problem={failed.problem} /> : null;
  const [acceptId, rejectId] = [`accept-${proposal.id}`, `reject-${proposal.id}`];
  return (
    <>
      {noteOf('snooze')}
      <label>
        <span class="hidden">Postpone for</span>
        <select
          value=""
          onChange={(event) => decide('snooze', { forMs: Number(event.currentTarget.value) })}
        >
          <option value="" disabled>
            Postpone for…
          </option>
          {SNOOZES.map(([ms, words]) => (
            <option key={ms} value={String(ms)}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <button type="button" onClick={() => rejecting.current?.showModal()}>
        Reject…
      </button>
      <button type="button" class="primary" onClick={() => accepting.current?.showModal()}>
        Accept…
      </button>
      <dialog ref={accepting} aria-labelledby={acceptId}>
        <div class="stack">
          <h2 id={acceptId}>Accept this proposal?</h2>
          <p>{acceptWords(proposal, mode)}</p>
          {noteOf('accept')}
          <div class="row">
            <button type="button" class="primary" onClick={() => decide('accept')}>
              Accept it
            </button>
            <button type="button" onClick={() => accepting.current?.close()}>
              Not now
            </button>
          </div>
        </div>
      </dialog>
      <dialog ref={rejecting} aria-labelledby={rejectId}>
        <form
          class="stack"
          onSubmit={(event) => {
            event.preventDefault();
            decide('reject', { reason: reason.trim() });
          }}
        >
          <h2 id={rejectId}>Reject this proposal?</h2>
          <p>The same proposal is not made again for a time, by default a day.</p>
          <label class="field">
            Why
            <input
              type="text"
              required
              maxLength={1000}
              value={reason}
              onInput={(event) => setReason(event.currentTarget.value)}
            />
          </label>
          {noteOf('reject')}
          <div class="row">
            <button type="submit" class="danger" disabled={reason.trim() === ''}>
              Reject it
            </button>
            <button type="button" onClick={() => rejecting.current?.close()}>
              Keep it
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}

/** Lets a policy look at once. It proposes, and moves nothing unless its mode is automatic. */
export function LookNow({ policy, again }: { policy: Policy; again: () => void }) {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const look = (): void => {
    setBusy(true);
    setProblem(undefined);
    ask<{ words: string; proposals: readonly Proposal[] }>(
      `/v1/policies/${policy.scope}/${policy.kind}/look`,
      { method: 'POST' },
    )
      .then(({ words, proposals }) => {
        const made = counted(proposals.length, 'proposal');
        toast({
          words: `${policyTitle(policy)} checked the fleet: ${made}. ${words}`,
          link: { href: '/proposals', words: 'Show proposals' },
        });
        again();
      })
      .catch((thrown: unknown) => setProblem(asProblem(thrown)))
      .finally(() => setBusy(false));
  };
  return (
    <>
      <button
        type="button"
        disabled={isBusy}
        aria-label={`Check now: ${policyTitle(policy)}`}
        onClick={look}
      >
        <Icon of="wait" size={12} /> {isBusy ? 'Checking…' : 'Check now'}
      </button>
      {problem === undefined ? null : <ProblemNote problem={problem} />}
    </>
  );
}
