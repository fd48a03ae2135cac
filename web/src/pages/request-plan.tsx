import type { FleetRequestPlan } from '../../../src/protocol/controller/fleet-requests.ts';
import { formatDuration } from '../../../src/protocol/quantity.ts';
import { count, counted, momentText } from '../base/text.ts';
import { Icon } from '../components/icons.tsx';
import { More, MAX_ROWS } from '../components/more.tsx';
import { Scrolls } from '../components/scrolls.tsx';

interface PlanProps {
  readonly plan: FleetRequestPlan;
  /** Of one guest: its prediction is measured, and shown beside the plan. */
  readonly isMove?: boolean;
}

/** What would happen: each move, what stays and why, what nobody knows. */
export function PlanView({ plan, isMove = false }: PlanProps) {
  const { steps, stays, waiting, late, blind } = plan;
  const isLate = new Set(late);
  return (
    <div class="stack">
      {isMove ? <OneMove plan={plan} /> : <Figures plan={plan} />}
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
      {steps.length === 0 || isMove ? null : (
        <section class="panel">
          <h2>Moves, in their order</h2>
          <Scrolls label="Moves">
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
          </Scrolls>
          <More of={steps.length} />
        </section>
      )}
    </div>
  );
}

function OneMove({ plan: { steps } }: PlanProps) {
  const [step] = steps;
  if (step === undefined) return null;
  return (
    <p class="big-words">
      {step.guest} moves from {step.from} to {step.to}.
    </p>
  );
}

function Figures({ plan: { steps, seconds, parallel, stays, waiting } }: PlanProps) {
  return (
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
  );
}

/** Guests with a reason each. */
export function Reasons({
  rows,
}: {
  rows: readonly { guest: string; where: string; words: string }[];
}) {
  return (
    <Scrolls label="Guests and reasons">
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
              <td class="whole">{where}</td>
              <td class="words">{words}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <More of={rows.length} />
    </Scrolls>
  );
}
