import type { Move, Wish } from '../../../src/protocol/controller/wish.ts';
import { formatDuration } from '../../../src/protocol/quantity.ts';
import { useLoaded } from '../base/load.ts';
import { mayOperate } from '../base/session.ts';
import { aheadText, count, counted, momentText } from '../base/text.ts';
import { Shown } from '../components/loaded.tsx';
import { Bar } from '../components/meter.tsx';
import { howFar, titleOf } from '../wishes/ask.ts';
import { isOpen, knownWishes, wishOf } from '../wishes/wishes.ts';
import { CancelWish, Undrain } from './wish-actions.tsx';
import { Moves } from './wish-moves.tsx';
import { Reasons } from './wish-plan.tsx';
import { RollView } from './wish-roll.tsx';
import { PhaseBadge } from './wishes.tsx';

const LOOK_MS = 2000;

/** One drain, evacuation or move: how far it is, what waits and why, and its end. */
export function WishPage({ id }: { id: string }) {
  const reported = knownWishes()?.find((each) => each.id === id);
  const ended = reported !== undefined && !isOpen(reported);
  const found = useLoaded(
    (until) => wishOf(id, until),
    [id, reported?.phase, reported?.moved],
    ended ? undefined : LOOK_MS,
  );
  return (
    <div class="stack">
      <nav class="trail" aria-label="Where this is">
        <a href="/wishes">Drains and moves</a> / <span aria-current="page">{id}</span>
      </nav>
      <Shown of={found} what="the request" lines={5}>
        {({ wish, moves }) => <Asked wish={wish} moves={moves} again={found.again} />}
      </Shown>
      {found.value === undefined && found.problem !== undefined ? <h1>{id}</h1> : null}
    </div>
  );
}

function Asked({ wish, moves, again }: { wish: Wish; moves: readonly Move[]; again: () => void }) {
  const nowMs = Date.now();
  const far = howFar(wish, moves, nowMs);
  const open = isOpen(wish);
  const { deadlineAtMs } = wish.ask;
  const isLate = deadlineAtMs !== undefined && open && (far.endsAtMs ?? nowMs) > deadlineAtMs;
  return (
    <>
      <header class="head-row">
        <h1>{titleOf(wish.ask)}</h1>
        <PhaseBadge phase={wish.phase} />
        <span class="grow" />
        {open && mayOperate() ? <CancelWish wish={wish} again={again} /> : null}
        {!open && mayOperate() && wish.ask.kind !== 'migration' ? (
          <Undrain hosts={wish.ask.hosts} />
        ) : null}
      </header>
      <section class="panel stack" aria-live="polite">
        <p class="big-words">{wish.words}</p>
        {open ? (
          <Bar
            percent={far.percent}
            label={wish.ask.kind === 'roll' ? 'Hosts rolled' : 'Guests moved'}
            tone={wish.phase === 'cancelling' ? 'warn' : 'accent'}
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
                wish.endedAtMs === undefined
                  ? 'not known'
                  : formatDuration(wish.endedAtMs - wish.createdAtMs)
              }
            />
          )}
          {deadlineAtMs === undefined ? null : (
            <Fact
              name="deadline"
              value={`${momentText(deadlineAtMs)}${isLate ? ': late, by prediction' : ''}`}
            />
          )}
          <Fact name="asked" value={`by ${wish.createdBy}, ${momentText(wish.createdAtMs)}`} />
        </dl>
      </section>
      <RollView wish={wish} />
      {wish.stays.length === 0 ? null : (
        <section class="panel">
          <h2>Guests that stay, and reasons</h2>
          <Reasons
            rows={wish.stays.map(({ guest, host, words }) => ({ guest, where: host, words }))}
          />
        </section>
      )}
      {wish.queue.length === 0 ? null : (
        <section class="panel">
          <h2>Guests that wait, and reasons</h2>
          <Reasons
            rows={wish.queue.map(({ guest, from, to, words, startsAtMs }) => ({
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
