import type { Move } from '../../../src/protocol/controller/fleet-request.ts';
import { formatBytes, formatDuration } from '../../../src/protocol/quantity.ts';
import { heard } from '../moves/open.ts';
import { More, MAX_ROWS } from '../components/more.tsx';
import { OutcomeBadge } from '../components/outcomes.tsx';
import { Scrolls } from '../components/scrolls.tsx';

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
/** Every move of a drain, an evacuation, a roll or a single move; what a person must look at first. */
export function Moves({ moves }: { moves: readonly Move[] }) {
  if (moves.length === 0) return null;
  const sorted = moves.toSorted(
    (one, other) =>
      ORDER.indexOf(one.phase) - ORDER.indexOf(other.phase) || other.createdAtMs - one.createdAtMs,
  );
  return (
    <section class="panel">
      <h2>Moves</h2>
      <Scrolls label="Moves">
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
            {sorted.slice(0, MAX_ROWS).map((move) => (
              <MoveRow key={move.id} move={move} />
            ))}
          </tbody>
        </table>
      </Scrolls>
      <More of={sorted.length} />
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
      <td class="whole">{move.from}</td>
      <td class="whole">{move.to}</td>
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
        <a href={`/migrations/${move.id}`} class="mono whole">
          {move.id}
        </a>
      </td>
    </tr>
  );
}
