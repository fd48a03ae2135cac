import type { RollStage, FleetRequest } from '../../../src/protocol/controller/fleet-request.ts';
import { agoText, counted } from '../base/text.ts';
import { Badge } from '../components/states.tsx';
import { rollOf } from '../requests/roll.ts';

const STAGES: Readonly<Record<RollStage, string>> = {
  planning: 'is planned: the other hosts must have room for all its guests',
  draining: 'is emptied',
  noting: 'is empty; its identity is recorded, to recognize it later',
  running: 'runs its program',
  waiting: 'is restarting; the controller waits for it',
  returning: 'is back; guests may move to it again',
};

/** The hosts of a roll, one after the other, and where it is with the present one. */
export function RollView({ request }: { request: FleetRequest }) {
  const { ask, roll } = request;
  if (roll === undefined) return null;
  const { before, promised, away, stage, sinceMs } = roll;
  return (
    <section class="panel stack">
      <h2>
        Its hosts, one after the other{' '}
        <span class="soft">
          program {ask.run}
          {ask.comeBack === true ? '; guests come back' : ''}
        </span>
      </h2>
      <ol class="rolled">
        {rollOf(request).map(({ host, state }) => (
          <li key={host} aria-current={state === 'now' ? 'step' : undefined}>
            {state === 'done' ? (
              <Badge tone="good" glyph="good">
                rolled
              </Badge>
            ) : state === 'now' ? (
              <Badge tone="accent" glyph="moving">
                now
              </Badge>
            ) : state === 'stopped' ? (
              <Badge tone="warn" glyph="stay">
                stopped here
              </Badge>
            ) : (
              <Badge tone="calm" glyph="wait">
                to come
              </Badge>
            )}
            <a href={`/hosts/${host}`}>{host}</a>
            {state === 'now' || state === 'stopped' ? (
              <span>
                {STAGES[stage]} <span class="soft">({agoText(Date.now() - sinceMs)})</span>
                {before === undefined ? null : (
                  <span class="soft">
                    ; before: version {before.version}
                    {promised?.version === undefined ? '' : `; promised: ${promised.version}`}
                    {promised?.boot === 'new' ? '; promised: a new boot' : ''}
                  </span>
                )}
                {away.length === 0 ? null : (
                  <span class="soft">; {counted(away.length, 'guest')} will come back</span>
                )}
              </span>
            ) : null}
          </li>
        ))}
      </ol>
    </section>
  );
}
