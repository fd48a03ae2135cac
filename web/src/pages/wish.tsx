import { useRef, useState } from 'preact/hooks';
import type { Move, Wish } from '../../../src/protocol/controller/wish.ts';
import { formatBytes, formatDuration } from '../../../src/protocol/quantity.ts';
import { asProblem } from '../base/http.ts';
import type { Problem } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { mayOperate } from '../base/session.ts';
import { aheadText, count, counted, momentText } from '../base/words.ts';
import { heard } from '../moves/open.ts';
import { Icon } from '../parts/icons.tsx';
import { Shown } from '../parts/loaded.tsx';
import { Bar } from '../parts/meter.tsx';
import { ProblemNote } from '../parts/notices.tsx';
import { OutcomeBadge } from '../parts/outcomes.tsx';
import { howFar, titleOf } from '../wishes/ask.ts';
import { cancel, isOpen, knownWishes, undrain, wishOf } from '../wishes/wishes.ts';
import { Reasons } from './wish-plan.tsx';
import { PhaseBadge } from './wishes.tsx';

const LOOK_MS = 2000;

/** One drain, evacuation or move: how far it is, what waits and why, and its end. */
export function WishPage({ id }: { id: string }) {
  const told = knownWishes()?.find((each) => each.id === id);
  const ended = told !== undefined && !isOpen(told);
  const found = useLoaded(
    (until) => wishOf(id, until),
    [id, told?.phase, told?.moved],
    ended ? undefined : LOOK_MS,
  );
  return (
    <div class="stack">
      <nav class="trail" aria-label="Where this is">
        <a href="/wishes">Drains and moves</a> / <span aria-current="page">{id}</span>
      </nav>
      <Shown of={found} what="what was asked for" lines={5}>
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
        {open && mayOperate() ? <Cancel wish={wish} again={again} /> : null}
        {!open && mayOperate() && wish.ask.kind !== 'migration' ? (
          <Undrain hosts={wish.ask.hosts} />
        ) : null}
      </header>
      <section class="panel stack" aria-live="polite">
        <p class="big-words">{wish.words}</p>
        {open ? (
          <Bar
            percent={far.percent}
            label="Guests moved"
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
      {wish.stays.length === 0 ? null : (
        <section class="panel">
          <h2>What stays, and why</h2>
          <Reasons
            rows={wish.stays.map(({ guest, host, words }) => ({ guest, where: host, words }))}
          />
        </section>
      )}
      {wish.queue.length === 0 ? null : (
        <section class="panel">
          <h2>What waits, and for what</h2>
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

const ORDER: readonly Move['phase'][] = [
  'held',
  'lost',
  'running',
  'withdrawing',
  'chosen',
  'failed',
  'done',
  'cancelled',
  'dropped',
];
const MOST_ROWS = 500;

function Moves({ moves }: { moves: readonly Move[] }) {
  if (moves.length === 0) return null;
  const sorted = moves.toSorted(
    (one, other) =>
      ORDER.indexOf(one.phase) - ORDER.indexOf(other.phase) || other.createdAtMs - one.createdAtMs,
  );
  return (
    <section class="panel">
      <h2>Moves</h2>
      <div class="scrolls" tabIndex={0} role="group" aria-label="Moves">
        <table class="list">
          <thead>
            <tr>
              <th>Guest</th>
              <th>From</th>
              <th>To</th>
              <th>State</th>
              <th class="right">Memory</th>
              <th class="right">Took</th>
              <th>Migration</th>
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, MOST_ROWS).map((move) => (
              <MoveRow key={move.id} move={move} />
            ))}
          </tbody>
        </table>
      </div>
      {sorted.length > MOST_ROWS ? (
        <p class="soft">and {count(sorted.length - MOST_ROWS)} more</p>
      ) : null}
    </section>
  );
}

function MoveRow({ move }: { move: Move }) {
  const percent = heard.value.get(move.id)?.percent;
  const took = move.endedAtMs === undefined ? undefined : move.endedAtMs - move.createdAtMs;
  return (
    <tr>
      <td>
        <a href={`/guests/${move.guest}`}>{move.guest}</a>
        {move.attempt > 1 ? <span class="soft"> (try {move.attempt})</span> : null}
      </td>
      <td>{move.from}</td>
      <td>{move.to}</td>
      <td class="words">
        <OutcomeBadge
          outcome={move.phase}
          more={
            move.phase === 'running' && percent !== undefined ? ` ${Math.floor(percent)} %` : ''
          }
        />
        {move.error === undefined ? null : (
          <p>
            {move.error.message} <code class="soft">{move.error.code}</code>
          </p>
        )}
      </td>
      <td class="right">{formatBytes(move.memoryBytes)}</td>
      <td class="right">
        {took === undefined ? (
          <span class="soft">~ {formatDuration(move.seconds * 1000)}</span>
        ) : (
          formatDuration(took)
        )}
      </td>
      <td>
        <a href={`/migrations/${move.id}`} class="mono">
          {move.id}
        </a>
      </td>
    </tr>
  );
}

/** Says what cancelling does before it does it. */
function Cancel({ wish, again }: { wish: Wish; again: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [rollBack, setRollBack] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const confirm = async (): Promise<void> => {
    setProblem(undefined);
    try {
      await cancel(wish.id, rollBack);
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
          <h2 id="cancel-title">Cancel the {titleOf(wish.ask).toLowerCase()}?</h2>
          <p>
            Nothing more begins. Guests that have moved stay where they are now. What becomes of the
            moves under way?
          </p>
          <div class="stack choices" role="radiogroup" aria-label="Moves under way">
            <label class="row">
              <input
                type="radio"
                name="under-way"
                checked={!rollBack}
                onChange={() => setRollBack(false)}
              />
              <span>
                <strong>They go on to their end.</strong>
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
                <strong>They are rolled back,</strong> each whose switch has not begun. Its guest
                runs on at its source.
              </span>
            </label>
          </div>
          {problem === undefined ? null : <ProblemNote problem={problem} />}
          <div class="row">
            <button type="button" class="danger" onClick={() => void confirm()}>
              Cancel it
            </button>
            <button type="button" onClick={() => dialog.current?.close()}>
              Let it go on
            </button>
          </div>
        </div>
      </dialog>
    </>
  );
}

function Undrain({ hosts }: { hosts: readonly string[] }) {
  const [problem, setProblem] = useState<Problem>();
  const [isDone, setDone] = useState(false);
  const end = async (): Promise<void> => {
    setProblem(undefined);
    try {
      for (const host of hosts) await undrain(host);
      setDone(true);
    } catch (thrown) {
      setProblem(asProblem(thrown));
    }
  };
  if (isDone)
    return (
      <span role="status">
        Guests may come to {hosts.length === 1 ? hosts[0] : 'these hosts'} again.
      </span>
    );
  return (
    <>
      <button type="button" onClick={() => void end()}>
        <Icon of="back" /> Let guests come again
      </button>
      {problem === undefined ? null : <ProblemNote problem={problem} />}
    </>
  );
}
