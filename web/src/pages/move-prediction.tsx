import { useEffect, useState } from 'preact/hooks';
import type { PlanAnswer } from '../../../src/protocol/public/plan.ts';
import type { Range } from '../../../src/protocol/public/prediction.ts';
import { formatBytes, formatDuration, formatRate } from '../../../src/protocol/quantity.ts';
import { ask, asProblem, type Problem } from '../base/http.ts';
import { putQuery } from '../base/router.ts';
import { percentText } from '../base/text.ts';
import { Icon } from '../components/icons.tsx';
import { Loading, ProblemNote } from '../components/notices.tsx';
import { Scrolls } from '../components/scrolls.tsx';
import { Badge } from '../components/states.tsx';
import type { Form } from '../requests/ask.ts';
import { chosenOption, moveOptionsOf, type MoveOption } from '../requests/move-options.ts';

/** A guest that writes little is measured in seconds; its host gives up after two minutes. */
const ANSWER_MS = 130_000;

const MODE_WORDS = { precopy: 'pre-copy', hybrid: 'hybrid', postcopy: 'post-copy' } as const;

type Choice = Pick<Form, 'mode' | 'path'>;

/** Prediction of one move. The measurement starts as soon as the move is chosen; nothing is shown before its result. */
export function MovePrediction({ guest, to, asked }: { guest: string; to: string; asked: Choice }) {
  const [answer, setAnswer] = useState<PlanAnswer>();
  const [problem, setProblem] = useState<Problem>();
  const [turn, setTurn] = useState(0);
  const [isBusy, setBusy] = useState(true);
  useEffect(() => {
    const ended = new AbortController();
    const { signal } = ended;
    const body = { guest, to, compare: true };
    setBusy(true);
    setProblem(undefined);
    ask<PlanAnswer>('/v1/plans', { method: 'POST', body, deadlineMs: ANSWER_MS, signal })
      .then(setAnswer)
      .catch((thrown: unknown) => {
        if (!signal.aborted) setProblem(asProblem(thrown));
      })
      .finally(() => {
        if (!signal.aborted) setBusy(false);
      });
    return () => ended.abort();
  }, [guest, to, turn]);
  return (
    <section class="panel stack" aria-label="Prediction">
      <div class="row">
        <h2>Prediction</h2>
        <span class="grow" />
        <button type="button" disabled={isBusy} onClick={() => setTurn((before) => before + 1)}>
          {isBusy ? 'Measuring…' : 'Measure again'}
        </button>
      </div>
      {isBusy ? (
        <>
          <p class="soft">
            The host of {guest} measures it and the link to {to} for a few seconds. Nothing is
            started.
          </p>
          <Loading what="the measurement" lines={3} />
        </>
      ) : null}
      {problem === undefined ? null : <ProblemNote problem={problem} />}
      {answer === undefined || isBusy ? null : <Measured answer={answer} asked={asked} />}
    </section>
  );
}

function Measured({ answer, asked }: { answer: PlanAnswer; asked: Choice }) {
  const { advice, host } = answer;
  const options = moveOptionsOf(answer);
  const chosen = chosenOption(options, asked);
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
      {chosen === undefined ? <NotPredicted answer={answer} /> : <Headline option={chosen} />}
      <Basis answer={answer} />
      {options.length < 2 ? null : <Options options={options} chosen={chosen} />}
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

function NotPredicted({ answer: { unmeasured, prediction, host } }: { answer: PlanAnswer }) {
  if (prediction !== undefined)
    return <p>No prediction for this mode and data path. Choose one of the rows below.</p>;
  if (host.verdict === 'refuse') return <p>No prediction: a check refuses this move.</p>;
  return <p>No prediction: {unmeasured ?? 'no reason reported'}.</p>;
}

/** The one prediction of the move as it would be begun. */
function Headline({ option }: { option: MoveOption }) {
  const { totalMs, downtimeMs, clientGapMs, bytes, converges } = option;
  return (
    <dl class="facts prediction">
      <Fact name="time" of={totalMs} text={formatDuration} />
      <Fact name="downtime" of={downtimeMs} text={formatDuration} />
      <Fact name="client gap" of={clientGapMs} text={formatDuration} />
      <Fact name="sent" of={bytes} text={formatBytes} />
      <div>
        <dt>ends by itself</dt>
        <dd>{percentText(converges.probability)}</dd>
        <dd class="soft">{converges.why}</dd>
      </div>
    </dl>
  );
}

interface FigureProps {
  readonly of: Range;
  readonly text: (amount: number) => string;
}

function Fact({ name, of, text }: FigureProps & { readonly name: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{text(of.middle)}</dd>
      <dd class="soft">
        {text(of.low)} to {text(of.high)}
      </dd>
    </div>
  );
}

/** Basis of the prediction. */
function Basis({ answer: { measured, link, linkUnmeasured } }: { answer: PlanAnswer }) {
  if (measured === undefined) return null;
  return (
    <p class="soft number">
      Measured just now: {formatBytes(measured.memoryBytes)} of memory, {written(measured.curve)};{' '}
      {link === undefined
        ? `link unknown: ${linkUnmeasured ?? ''}`
        : `the link takes ${formatRate(link.rate)} (${link.how})`}
      .
    </p>
  );
}

function written(curve: NonNullable<PlanAnswer['measured']>['curve']): string {
  const last = curve.at(-1);
  if (last === undefined) return 'none of it written';
  return `${formatBytes(last.dirtyBytes)} of it written in ${formatDuration(last.windowMs)}`;
}

function Options({
  options,
  chosen,
}: {
  options: readonly MoveOption[];
  chosen: MoveOption | undefined;
}) {
  return (
    <>
      <h3>Modes and data paths side by side</h3>
      <Scrolls label="Modes and data paths side by side">
        <table class="list folds">
          <thead>
            <tr>
              <th>Mode</th>
              <th>Path</th>
              <th class="right">Ends by itself</th>
              <th class="right">Time</th>
              <th class="right">Downtime</th>
              <th class="right">Client gap</th>
              <th class="right">Sent</th>
              <th>
                <span class="hidden">Choose</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {options.map((option) => (
              <OptionRow
                key={`${option.mode} ${option.path}`}
                option={option}
                isChosen={option === chosen}
              />
            ))}
          </tbody>
        </table>
      </Scrolls>
    </>
  );
}

function OptionRow({ option, isChosen }: { option: MoveOption; isChosen: boolean }) {
  const { mode, path, converges } = option;
  const percent = percentText(converges.probability);
  return (
    <tr class={isChosen ? 'chosen' : ''}>
      <td class="whole" data-label="Mode">
        {MODE_WORDS[mode]}
      </td>
      <td data-label="Path">{path}</td>
      <td class="right" data-label="Ends by itself">
        {converges.probability < 0.5 ? (
          <Badge tone="warn" glyph="warn">
            {percent}
          </Badge>
        ) : (
          percent
        )}
      </td>
      <Figure label="Time" of={option.totalMs} text={formatDuration} />
      <Figure label="Downtime" of={option.downtimeMs} text={formatDuration} />
      <Figure label="Client gap" of={option.clientGapMs} text={formatDuration} />
      <Figure label="Sent" of={option.bytes} text={formatBytes} />
      <td class="right">
        {isChosen ? (
          <span class="soft">chosen</span>
        ) : (
          <button
            type="button"
            aria-label={`Choose ${MODE_WORDS[mode]} over the ${path} path`}
            onClick={() => putQuery({ mode, path })}
          >
            Choose
          </button>
        )}
      </td>
    </tr>
  );
}

function Figure({ label, of, text }: FigureProps & { readonly label: string }) {
  return (
    <td class="right" data-label={label}>
      {text(of.middle)}
      <br />
      <span class="soft">
        {text(of.low)} to {text(of.high)}
      </span>
    </td>
  );
}
