import type { GuestStay } from '../../../src/protocol/controller/history.ts';
import { formatDuration } from '../../../src/protocol/quantity.ts';
import { ask } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { momentText } from '../base/text.ts';
import { Shown } from '../components/loaded.tsx';
import { Badge } from '../components/states.tsx';

interface History {
  readonly stays: readonly GuestStay[];
  readonly isPart: boolean;
}

/** Every host that a guest was on, when and why. `places`: it is asked for anew when that changes. */
export function Story({
  name,
  places,
  isSaid = false,
}: {
  name: string;
  places: string;
  /** That nobody knows the guest stands on the page already. */
  isSaid?: boolean;
}) {
  const history = useLoaded(
    (until) => ask<History>(`/v1/guests/${encodeURIComponent(name)}/history`, { signal: until }),
    [name, places],
  );
  if (isSaid && history.value === undefined && history.problem?.status === 404) return null;
  return (
    <section class="panel">
      <h2>Hosts of this guest, and reasons</h2>
      <Shown of={history} what="its history">
        {({ stays, isPart }) => (
          <>
            <ol class="story">
              {stays.map((stay) => (
                <Stay key={`${stay.host} ${stay.from}`} stay={stay} />
              ))}
            </ol>
            {isPart ? <p class="soft">Older ones are not reported.</p> : null}
          </>
        )}
      </Shown>
    </section>
  );
}

function Stay({ stay }: { stay: GuestStay }) {
  const { host, from, to, why, migration, request, by, tries } = stay;
  const until = to === undefined ? 'now' : momentText(to);
  const isLong = from !== undefined && to !== undefined;
  return (
    <li class={to === undefined ? 'now' : ''}>
      <div class="row">
        <strong>
          <a href={`/hosts/${host}`}>{host}</a>
        </strong>
        <span class="soft number">
          {from === undefined ? 'since before the recorded history' : momentText(from)} – {until}
          {isLong ? ` (${formatDuration(Date.parse(to) - Date.parse(from))})` : ''}
        </span>
      </div>
      <p>
        {why}
        {by === undefined ? '' : `, by ${by}`}{' '}
        {migration === undefined ? null : <a href={`/migrations/${migration}`}>report</a>}{' '}
        {request === undefined ? null : <a href={`/requests/${request}`}>what asked for it</a>}
      </p>
      {tries.length === 0 ? null : (
        <ul>
          {tries.map((each) => (
            <li key={each.migration}>
              <Badge tone="warn" glyph="back">
                {each.outcome}
              </Badge>{' '}
              <a href={`/migrations/${each.migration}`}>to {each.to}</a>{' '}
              <span class="soft">{momentText(each.at)}</span> {each.words}
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}
