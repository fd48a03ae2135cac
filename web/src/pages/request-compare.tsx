import { useState } from 'preact/hooks';
import type { PlanAnswer } from '../../../src/protocol/public/plan.ts';
import type { Range } from '../../../src/protocol/public/prediction.ts';
import { formatBytes, formatDuration, formatRate } from '../../../src/protocol/quantity.ts';
import { ask, asProblem, type Problem } from '../base/http.ts';
import { putQuery } from '../base/router.ts';
import { percentText } from '../base/text.ts';
import { Icon } from '../components/icons.tsx';
import { Loading, ProblemNote } from '../components/notices.tsx';
import { Badge } from '../components/states.tsx';
import { moveOptionsOf, type MoveOption } from '../requests/move-options.ts';

/** A guest that writes little is measured in seconds; its host gives up after two minutes. */
const ANSWER_MS = 130_000;

const MODE_WORDS = { precopy: 'pre-copy', hybrid: 'hybrid', postcopy: 'post-copy' } as const;

/** What one move would come to in each mode, measured when a person asks for it. */
export function CompareModes({ guest, to, mode }: { guest: string; to: string; mode: string }) {
  const [answer, setAnswer] = useState<PlanAnswer>();
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, setBusy] = useState(false);
  const measure = (): void => {
    setBusy(true);
    setProblem(undefined);
    const body = { guest, to, compare: true, ...(mode === '' ? {} : { mode }) };
    ask<PlanAnswer>('/v1/plans', { method: 'POST', body, deadlineMs: ANSWER_MS })
      .then(setAnswer)
      .catch((thrown: unknown) => setProblem(asProblem(thrown)))
      .finally(() => setBusy(false));
  };
  return (
    <section class="panel stack" aria-label="Modes side by side">
      <div class="row">
        <h2>Modes side by side</h2>
        <span class="grow" />
        <button type="button" disabled={isBusy} onClick={measure}>
          {isBusy ? 'Measuring…' : answer === undefined ? 'Measure and compare' : 'Measure again'}
        </button>
      </div>
      {answer === undefined && !isBusy ? (
        <p class="soft">
          The host of {guest} measures it and the link to {to} for a few seconds, and predicts the
          result of each mode. Nothing is started.
        </p>
      ) : null}
      {isBusy ? <Loading what="the measurement" lines={3} /> : null}
      {problem === undefined ? null : <ProblemNote problem={problem} />}
      {answer === undefined || isBusy ? null : <Compared answer={answer} mode={mode} />}
    </section>
  );
}

function Compared({ answer, mode }: { answer: PlanAnswer; mode: string }) {
  const { measured, unmeasured, link, linkUnmeasured, advice, host } = answer;
  const options = moveOptionsOf(answer);
  const reported = host.checks.filter(({ verdict }) => verdict !== 'pass');
  return (
    <>
      {reported.map(({ name, side, verdict, evidence, hint, error }) => (
        <div key={`${name} ${side}`} class={verdict === 'refuse' ? 'notice bad' : 'notice warn'}>
          <Icon of="warn" size={18} />
          <div>
            <strong>
              {name}: {evidence}
            </strong>
            <p>{hint ?? error?.hint ?? ''}</p>
          </div>
        </div>
      ))}
      {measured === undefined ? (
        <p>Not measured: {unmeasured ?? 'no reason reported'}.</p>
      ) : (
        <p class="soft number">
          {formatBytes(measured.memoryBytes)} of memory, {written(measured.curve)};{' '}
          {link === undefined
            ? `link unknown: ${linkUnmeasured ?? ''}`
            : `the link takes ${formatRate(link.rate)} (${link.how})`}
          .
        </p>
      )}
      {options.length === 0 ? null : <MoveOptions options={options} mode={mode} />}
      {advice.length === 0 ? null : (
        <ul class="advice">
          {advice.map((each) => (
            <li key={each}>{each}</li>
          ))}
        </ul>
      )}
    </>
  );
}

function written(curve: NonNullable<PlanAnswer['measured']>['curve']): string {
  const last = curve.at(-1);
  if (last === undefined) return 'none of it written';
  return `${formatBytes(last.dirtyBytes)} of it written in ${formatDuration(last.windowMs)}`;
}

function MoveOptions({ options, mode }: { options: readonly MoveOption[]; mode: string }) {
  return (
    <div class="scrolls" tabIndex={0} role="group" aria-label="Ways side by side">
      <table class="list">
        <thead>
          <tr>
            <th>Mode</th>
            <th>Path</th>
            <th class="right">Ends by itself</th>
            <th class="right">Time</th>
            <th class="right">Downtime</th>
            <th class="right">Client gap</th>
            <th class="right">Bytes</th>
            <th>
              <span class="hidden">Choose</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {options.map((option) => {
            const isChosen = option.path === 'native' && option.mode === (mode || 'precopy');
            return (
              <tr key={`${option.mode} ${option.path}`}>
                <td class="whole">{MODE_WORDS[option.mode]}</td>
                <td>{option.path}</td>
                <td class="right">
                  {option.converges.probability < 0.5 ? (
                    <Badge tone="warn" glyph="warn">
                      {percentText(option.converges.probability)}
                    </Badge>
                  ) : (
                    percentText(option.converges.probability)
                  )}
                </td>
                <Figure of={option.totalMs} text={formatDuration} />
                <Figure of={option.downtimeMs} text={formatDuration} />
                <Figure of={option.clientGapMs} text={formatDuration} />
                <Figure of={option.bytes} text={formatBytes} />
                <td class="right">
                  {option.path !== 'native' ? null : isChosen ? (
                    <span class="soft">chosen</span>
                  ) : (
                    <button
                      type="button"
                      aria-label={`Choose ${MODE_WORDS[option.mode]}`}
                      onClick={() => putQuery({ mode: option.mode })}
                    >
                      Choose
                    </button>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Figure({ of, text }: { of: Range; text: (amount: number) => string }) {
  return (
    <td class="right">
      {text(of.middle)}
      <br />
      <span class="soft">
        {text(of.low)} to {text(of.high)}
      </span>
    </td>
  );
}
