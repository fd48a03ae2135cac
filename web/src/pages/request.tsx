import type { Move, FleetRequest } from '../../../src/protocol/controller/fleet-request.ts';
import { formatDuration } from '../../../src/protocol/quantity.ts';
import { useLoaded } from '../base/load.ts';
import { mayOperate } from '../base/session.ts';
import { aheadText, count, counted, momentText } from '../base/text.ts';
import { Shown } from '../components/loaded.tsx';
import { Bar } from '../components/meter.tsx';
import { howFar, titleOf } from '../requests/ask.ts';
import { isOpen, knownRequests, requestOf } from '../requests/requests.ts';
import { CancelRequest, Undrain } from './request-actions.tsx';
import { Moves } from './request-moves.tsx';
import { Reasons } from './request-plan.tsx';
import { RollView } from './request-roll.tsx';
import { PhaseBadge } from './requests.tsx';

const LOOK_MS = 2000;

/** One drain, evacuation or move: how far it is, what waits and why, and its end. */
export function RequestPage({ id }: { id: string }) {
  const reported = knownRequests()?.find((each) => each.id === id);
  const ended = reported !== undefined && !isOpen(reported);
  const found = useLoaded(
    (until) => requestOf(id, until),
    [id, reported?.phase, reported?.moved],
    ended ? undefined : LOOK_MS,
  );
  return (
    <div class="stack">
      <nav class="trail" aria-label="Where this is">
        <a href="/requests">Drains and moves</a> / <span aria-current="page">{id}</span>
      </nav>
      <Shown of={found} what="the request" lines={5}>
        {({ request, moves }) => <Asked request={request} moves={moves} again={found.again} />}
      </Shown>
      {found.value === undefined && found.problem !== undefined ? <h1>{id}</h1> : null}
    </div>
  );
}

function Asked({
  request,
  moves,
  again,
}: {
  request: FleetRequest;
  moves: readonly Move[];
  again: () => void;
}) {
  const nowMs = Date.now();
  const far = howFar(request, moves, nowMs);
  const open = isOpen(request);
  const { deadlineAtMs } = request.ask;
  const isLate = deadlineAtMs !== undefined && open && (far.endsAtMs ?? nowMs) > deadlineAtMs;
  return (
    <>
      <header class="head-row">
        <h1>{titleOf(request.ask)}</h1>
        <PhaseBadge phase={request.phase} />
        <span class="grow" />
        {open && mayOperate() ? <CancelRequest request={request} again={again} /> : null}
        {!open && mayOperate() && request.ask.kind !== 'migration' ? (
          <Undrain hosts={request.ask.hosts} />
        ) : null}
      </header>
      <section class="panel stack" aria-live="polite">
        <p class="big-words">{request.words}</p>
        {open ? (
          <Bar
            percent={far.percent}
            label={request.ask.kind === 'roll' ? 'Hosts rolled' : 'Guests moved'}
            tone={request.phase === 'cancelling' ? 'warn' : 'accent'}
          />
        ) : null}
        <dl class="facts">
          <Fact name="moved" value={counted(far.moved, 'guest')} />
          <Fact name="under way" value={count(far.underWay)} />
          <Fact name="waiting" value={count(far.waiting)} />
          <Fact name="stay" value={count(far.stays)} />
          {open ? (
            <Fact
              name="expected end"
              value={
                far.endsAtMs === undefined
                  ? 'not known'
                  : `${aheadText(far.endsAtMs - nowMs)}, ${momentText(far.endsAtMs)}`
              }
            />
          ) : (
            <Fact
              name="took"
              value={
                request.endedAtMs === undefined
                  ? 'not known'
                  : formatDuration(request.endedAtMs - request.createdAtMs)
              }
            />
          )}
          {deadlineAtMs === undefined ? null : (
            <Fact
              name="deadline"
              value={`${momentText(deadlineAtMs)}${isLate ? ': late, by prediction' : ''}`}
            />
          )}
          <Fact
            name="asked"
            value={`by ${request.createdBy}, ${momentText(request.createdAtMs)}`}
          />
        </dl>
      </section>
      <RollView request={request} />
      {request.stays.length === 0 ? null : (
        <section class="panel">
          <h2>Guests that stay, and reasons</h2>
          <Reasons
            rows={request.stays.map(({ guest, host, words }) => ({ guest, where: host, words }))}
          />
        </section>
      )}
      {request.queue.length === 0 ? null : (
        <section class="panel">
          <h2>Guests that wait, and reasons</h2>
          <Reasons
            rows={request.queue.map(({ guest, from, to, words, startsAtMs }) => ({
              guest,
              where: to === undefined ? from : `${from} → ${to}`,
              words:
                startsAtMs === undefined
                  ? words
                  : `${words}; begins ${aheadText(startsAtMs - nowMs)}`,
            }))}
          />
        </section>
      )}
      <Moves moves={moves} />
    </>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
