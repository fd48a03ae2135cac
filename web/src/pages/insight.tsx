import { DISK_FIGURE_NAMES, FIGURE_NAMES } from '../../../src/protocol/controller/figure-names.ts';
import type {
  DiskScore,
  Insight,
  PredictionScore,
} from '../../../src/protocol/controller/history.ts';
import { formatBytes, formatDuration } from '../../../src/protocol/quantity.ts';
import { ask } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { place, putQuery } from '../base/router.ts';
import { count, counted, momentText, percentText } from '../base/text.ts';
import { daysIn, errorText, quantile, SPANS } from '../insight/spread.ts';
import { Shown } from '../components/loaded.tsx';
import { Empty } from '../components/notices.tsx';
import { OutcomeBadge } from '../components/outcomes.tsx';
import { Spread } from '../components/spread.tsx';
import { Scrolls } from '../components/scrolls.tsx';
import { Story } from './story.tsx';

const DAY_MS = 86_400_000;
const NAMES = { ...FIGURE_NAMES, ...DISK_FIGURE_NAMES };

type AnyScore = PredictionScore | DiskScore;

/** What the migrations of a time came to, and the story of one guest. */
export function InsightPage() {
  const { query } = place.value;
  const days = daysIn(query.get('days'));
  const guest = query.get('guest') ?? '';
  const found = useLoaded(
    (until) => {
      const since = new Date(Date.now() - days * DAY_MS).toISOString();
      return ask<Insight>(`/v1/insight?since=${encodeURIComponent(since)}`, { signal: until });
    },
    [days],
  );
  return (
    <div class="stack">
      <header class="head-row">
        <h1>History and insight</h1>
        <span class="grow" />
        <label class="row">
          <span class="soft">The last</span>
          <select
            value={String(days)}
            onChange={(event) => putQuery({ days: event.currentTarget.value })}
          >
            {SPANS.map((each) => (
              <option key={each} value={String(each)}>
                {each === 365 ? 'year' : counted(each, 'day')}
              </option>
            ))}
          </select>
        </label>
      </header>
      <Shown of={found} what="the results of migrations" lines={6}>
        {(insight) => (insight.count === 0 ? <Nothing /> : <Figures insight={insight} />)}
      </Shown>
      <GuestStory guest={guest} />
    </div>
  );
}

function Nothing() {
  return (
    <Empty title="No migration ended in this period.">
      <p>
        Choose a longer one, or look at <a href="/migrations">those that are open</a>.
      </p>
    </Empty>
  );
}

function Figures({ insight }: { insight: Insight }) {
  return (
    <>
      <section class="panel stack">
        <div class="row">
          <h2>{counted(insight.count, 'migration')}</h2>
          <span class="soft">
            since {momentText(insight.since)}
            {insight.isPart ? '; older ones of this period are not counted' : ''}
          </span>
        </div>
        <ul class="outcomes">
          {insight.outcomes.map(({ outcome, count: often }) => (
            <li key={outcome}>
              <a href={`/migrations?outcome=${outcome}`}>
                <OutcomeBadge outcome={outcome} />
              </a>{' '}
              <b class="number">{count(often)}</b>{' '}
              <span class="soft number">{percentText(often / insight.count)}</span>
            </li>
          ))}
        </ul>
      </section>
      <div class="columns quarters">
        <Spread title="Downtime" of={insight.downtimeMs} text={formatDuration} />
        <Spread
          title="Client gap"
          of={insight.clientGapMs}
          text={formatDuration}
          note="Measured by hosts that watch a guest while it moves."
        />
        <Spread title="Total time" of={insight.totalMs} text={formatDuration} />
        <Spread title="Bytes over the link" of={insight.bytes} text={formatBytes} />
      </div>
      <Predictions scores={[...insight.predictions, ...(insight.diskPredictions ?? [])]} />
      <div class="columns">
        <Saved saved={insight.saved} />
        <Failures failures={insight.failures} />
      </div>
    </>
  );
}

function Predictions({ scores }: { scores: readonly AnyScore[] }) {
  return (
    <section class="panel">
      <h2>Prediction errors</h2>
      {scores.length === 0 ? (
        <p class="soft">No predicted migration has been completed.</p>
      ) : (
        <>
          <Scrolls label="Prediction errors">
            <table class="list">
              <thead>
                <tr>
                  <th>Figure</th>
                  <th class="right">Of</th>
                  <th class="right">Median</th>
                  <th>Nine of ten lay between</th>
                  <th class="right">Within its range</th>
                </tr>
              </thead>
              <tbody>
                {scores.map((score) => (
                  <Score key={score.of} score={score} />
                ))}
              </tbody>
            </table>
          </Scrolls>
          <p class="soft">+10 %: the result was a tenth above the prediction.</p>
        </>
      )}
    </section>
  );
}

function Score({ score: { of, count: often, within, level, error } }: { score: AnyScore }) {
  const [low, middle, high] = [0.05, 0.5, 0.95].map((share) => quantile(error, share) ?? 0);
  return (
    <tr>
      <td>{NAMES[of]}</td>
      <td class="right">{count(often)}</td>
      <td class="right">{errorText(middle ?? 0)}</td>
      <td>
        <span class="number">
          {errorText(low ?? 0)} and {errorText(high ?? 0)}
        </span>
        <ErrorBar low={low ?? 0} middle={middle ?? 0} high={high ?? 0} />
      </td>
      <td class={within < level ? 'right warn' : 'right'}>
        {percentText(within)} of {percentText(level)} wanted
      </td>
    </tr>
  );
}

/** From half as much to half more than was expected; nothing off is in the middle. */
function ErrorBar({ low, middle, high }: { low: number; middle: number; high: number }) {
  const at = (error: number): number => Math.min(100, Math.max(0, 50 + error * 100));
  return (
    <span class="range-bar error" aria-hidden="true">
      <i class="within" style={{ left: `${at(low)}%`, width: `${at(high) - at(low)}%` }} />
      <i class="middle" style={{ left: '50%' }} />
      <i class="came" style={{ left: `${at(middle)}%` }} />
    </span>
  );
}

function Saved({ saved }: { saved: Insight['saved'] }) {
  const all = saved.reduce((sum, { bytes }) => sum + bytes, 0);
  return (
    <section class="panel">
      <div class="row between">
        <h2>Guest memory that was not sent</h2>
        {all === 0 ? null : <b class="number">{formatBytes(all)}</b>}
      </div>
      {all === 0 ? (
        <p class="soft">
          Nothing was saved: no migration used the wire path, which sends only data that the other
          side lacks.
        </p>
      ) : (
        <ul class="shares">
          {saved.map(({ kind, bytes }) => (
            <li key={kind}>
              <span>{kind}</span>
              <span class="bar" aria-hidden="true">
                <i style={{ width: `${(bytes / all) * 100}%` }} />
              </span>
              <b class="number">{formatBytes(bytes)}</b>
              <span class="soft number">{percentText(bytes / all)}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Failures({ failures }: { failures: Insight['failures'] }) {
  return (
    <section class="panel">
      <h2>Failures</h2>
      {failures.length === 0 ? (
        <p class="soft">None failed.</p>
      ) : (
        <Scrolls label="Failures by cause">
          <table class="list folds">
            <thead>
              <tr>
                <th>Cause</th>
                <th class="right">How often</th>
                <th>The newest</th>
              </tr>
            </thead>
            <tbody>
              {failures.map(({ code, count: often, newest }) => (
                <tr key={code}>
                  <td data-label="Cause">
                    <code>{code}</code>
                  </td>
                  <td class="right" data-label="How often">
                    {count(often)}
                  </td>
                  <td data-label="The newest">
                    <a href={`/migrations/${newest}`} class="mono whole">
                      {newest}
                    </a>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scrolls>
      )}
    </section>
  );
}

/** Every host that one guest was on, asked for by its name. */
function GuestStory({ guest }: { guest: string }) {
  return (
    <>
      <form
        class="row"
        role="search"
        aria-label="History of one guest"
        onSubmit={(event) => {
          event.preventDefault();
          const name = new FormData(event.currentTarget).get('guest');
          putQuery({ guest: typeof name === 'string' ? name.trim() : '' });
        }}
      >
        <label class="row">
          <span>History of the guest</span>
          <input type="search" name="guest" defaultValue={guest} placeholder="its name" />
        </label>
        <button type="submit">Show</button>
      </form>
      {guest === '' ? null : <Story key={guest} name={guest} places="" />}
    </>
  );
}
