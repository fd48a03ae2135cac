import type { FleetRequestPlan } from '../../../src/protocol/controller/fleet-requests.ts';
import { formatDuration } from '../../../src/protocol/quantity.ts';
import { count, counted, momentText } from '../base/text.ts';
import { Icon } from '../components/icons.tsx';
import { More, MAX_ROWS } from '../components/more.tsx';

/** What would happen: each move, what stays and why, what nobody knows. */
export function PlanView({ plan }: { plan: FleetRequestPlan }) {
  const { steps, seconds, parallel, stays, waiting, late, blind } = plan;
  const isLate = new Set(late);
  return (
    <div class="stack">
      <dl class="figures panel">
        <div>
          <dt>Guests that move</dt>
          <dd>
            <b class="number">{count(steps.length)}</b>{' '}
            <span class="soft">
              {steps.length > 0 ? `${counted(parallel, 'at a time', 'at a time')}` : ''}
            </span>
          </dd>
        </div>
        <div>
          <dt>Predicted time</dt>
          <dd>
            <b class="number">{steps.length === 0 ? '–' : formatDuration(seconds * 1000)}</b>{' '}
            <span class="soft number">
              {steps.length === 0 ? '' : `until ${momentText(Date.now() + seconds * 1000)}`}
            </span>
          </dd>
        </div>
        <div>
          <dt>Guests that wait</dt>
          <dd>
            <b class="number">{count(waiting.length)}</b>
          </dd>
        </div>
        <div>
          <dt>Guests that stay</dt>
          <dd>
            <b class="number">{count(stays.length)}</b>
          </dd>
        </div>
      </dl>
      {blind.length === 0 ? null : (
        <div class="notice bad">
          <Icon of="silent" size={18} />
          <div>
            <strong>The plan is incomplete.</strong>
            <ul>
              {blind.map((each) => (
                <li key={each}>{each}</li>
              ))}
            </ul>
          </div>
        </div>
      )}
      {late.length === 0 ? null : (
        <div class="notice warn">
          <Icon of="wait" size={18} />
          <strong>
            {counted(late.length, 'guest')} would arrive after the deadline, according to the
            prediction.
          </strong>
        </div>
      )}
      {stays.length === 0 ? null : (
        <section class="panel">
          <h2>Guests that stay, and reasons</h2>
          <Reasons rows={stays.map(({ guest, host, words }) => ({ guest, where: host, words }))} />
        </section>
      )}
      {waiting.length === 0 ? null : (
        <section class="panel">
          <h2>Guests that wait, and reasons</h2>
          <Reasons
            rows={waiting.map(({ guest, from, to, words }) => ({
              guest,
              where: to === undefined ? from : `${from} → ${to}`,
              words,
            }))}
          />
        </section>
      )}
      {steps.length === 0 ? null : (
        <section class="panel">
          <h2>Moves, in their order</h2>
          <div class="scrolls" tabIndex={0} role="group" aria-label="Moves">
            <table class="list">
              <thead>
                <tr>
                  <th>Guest</th>
                  <th>From</th>
                  <th>To</th>
                  <th class="right">Predicted</th>
                  <th>Note</th>
                </tr>
              </thead>
              <tbody>
                {steps.slice(0, MAX_ROWS).map((step) => (
                  <tr key={step.guest}>
                    <td>
                      <a href={`/guests/${step.guest}`}>{step.guest}</a>
                    </td>
                    <td>{step.from}</td>
                    <td>{step.to}</td>
                    <td class="right">{formatDuration(step.seconds * 1000)}</td>
                    <td>
                      {isLate.has(step.guest) ? <span class="warn">after the deadline</span> : null}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <More of={steps.length} />
        </section>
      )}
    </div>
  );
}

/** Guests with a reason each. */
export function Reasons({
  rows,
}: {
  rows: readonly { guest: string; where: string; words: string }[];
}) {
  return (
    <div class="scrolls" tabIndex={0} role="group" aria-label="Guests and reasons">
      <table class="list">
        <thead>
          <tr>
            <th>Guest</th>
            <th>Host</th>
            <th>Reason</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, MAX_ROWS).map(({ guest, where, words }) => (
            <tr key={guest}>
              <td>
                <a href={`/guests/${guest}`}>{guest}</a>
              </td>
              <td>{where}</td>
              <td class="words">{words}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <More of={rows.length} />
    </div>
  );
}
