import { FORECAST } from './forecast/forecast.ts';
import type { Trace } from './cloudsim/experiment.ts';
import type { BenchOptions, Measure } from './contract.ts';
import { dataDirectory, daysOf, readDay } from './planner-data.ts';
import { forecastFleet, naiveWays, type ForecastFleet } from './planner-forecast.ts';

const { ahead: AHEAD } = FORECAST;
const SHARE = 0.99;
/** Guests whose sum is forecast as that of one host. */
const PER_HOST = 20;
/** Nothing is judged before, samples: four hours. */
const WARM = 48;

/** What room costs that is kept by a forecast, beside who knows the most that will be asked for (the peak oracle). */
interface Regret {
  /** The pinball loss against the peak, percent of a host: the oracle's own is 0. */
  loss: number;
  /** Room above the peak. */
  vain: number;
  /** How often the peak was above it. */
  short: number;
  count: number;
}

/** The most that is asked for in the hour after each sample; undefined at the end of the series. */
function peaksOf(series: readonly number[]): (number | undefined)[] {
  return series.map((_value, at) =>
    at + AHEAD < series.length ? Math.max(...series.slice(at + 1, at + 1 + AHEAD)) : undefined,
  );
}

function regretOf(all: readonly (readonly number[])[], fleet: ForecastFleet): Regret {
  const regret: Regret = { loss: 0, vain: 0, short: 0, count: 0 };
  const peaks = all.map(peaksOf);
  /** How many were below at each look: known an hour later. */
  const below: number[] = [];
  for (let at = 0; at < (all[0]?.length ?? 0); at += 1) {
    let held = 0;
    for (const [index, way] of fleet.guests.entries()) {
      way.observe(all[index]?.[at] ?? 0);
      const room = way.atMost(SHARE);
      const peak = peaks[index]?.[at];
      if (peak === undefined) continue;
      const miss = peak - room;
      held += miss <= 0 ? 1 : 0;
      if (at < WARM) continue;
      regret.count += 1;
      regret.loss += Math.max(SHARE * miss, (SHARE - 1) * miss);
      regret.vain += Math.max(0, -miss);
      regret.short += miss > 0 ? 1 : 0;
    }
    below.push(held / all.length);
    const due = below[at - AHEAD];
    if (due !== undefined) fleet.reported?.(SHARE, due);
  }
  return regret;
}

/** Sums of so many guests each, percent of what all of them may use. */
function hostsOf(traces: readonly Trace[]): number[][] {
  const length = traces[0]?.loads.length ?? 0;
  return Array.from({ length: Math.floor(traces.length / PER_HOST) }, (_none, host) => {
    const guests = traces.slice(host * PER_HOST, (host + 1) * PER_HOST);
    return Array.from(
      { length },
      (_no, at) => (100 * guests.reduce((sum, { loads }) => sum + (loads[at] ?? 0), 0)) / PER_HOST,
    );
  });
}

/** Room that a forecast keeps on a host for the hour to come, beside who knows the peak of that hour. */
export function regretContest({ say, signal, words }: BenchOptions): Measure[] {
  const directory = dataDirectory(words?.data);
  if (directory === undefined) throw new Error('no recorded days: say where with --data DIR');
  const days = daysOf(directory).map(({ file }) => readDay(file));
  const measures: Measure[] = [];
  const add = (name: string, value: number, unit: string): void => {
    measures.push({ name: `regret, ${name}`, value, unit, runs: days.length });
  };
  const ways = { ours: forecastFleet, ...naiveWays('peak') };
  for (const [name, make] of Object.entries(ways)) {
    signal.throwIfAborted();
    const all = days.map((traces) => {
      const hosts = hostsOf(traces);
      return regretOf(hosts, make(hosts.length));
    });
    const part = (value: (regret: Regret) => number): number =>
      all.reduce((sum, each) => sum + value(each), 0) /
      all.reduce((sum, { count }) => sum + count, 0);
    const [loss, vain] = [part((each) => each.loss), part((each) => each.vain)];
    const short = 100 * part((each) => each.short);
    say(
      `regret against the peak oracle, ${name}: ${loss.toFixed(3)} % of a host; room in vain ${vain.toFixed(2)} %, peak above it ${short.toFixed(2)} % of the time`,
    );
    add(`${name}: loss against the peak oracle`, loss, '% of a host');
    add(`${name}: room kept in vain`, vain, '% of a host');
    add(`${name}: peak above the room`, short, '%');
  }
  return measures;
}
