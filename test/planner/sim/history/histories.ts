import {
  readHistory,
  type Files,
  type History,
} from '../../../../src/planner/sim/history/history.ts';
import { placeOfSetting } from '../../../../src/config/settings.ts';

export const historyOf = (files: Files): History => readHistory(files, placeOfSetting);

/** What guests used, as a table. */
type Tables = Extract<Files, { 'load.csv': string }>;

/** Two hosts of 8 cores; four guests on a, which ask for 12 cores together from the second hour on. */
export const FILES: Tables = {
  'hosts.csv': 'name,cores,memory_gib,idle_watts,busy_watts\na,8,64,100,300\nb,8,64,100,300\n',
  'guests.csv': [
    'name,host,cores,memory_gib',
    ...[1, 2, 3, 4].map((at) => `g${at},a,4,4`),
    '',
  ].join('\n'),
  'load.csv': [
    'time,guest,cores',
    ...Array.from({ length: 72 }, (_, tick) =>
      [1, 2, 3, 4]
        .map((at) => `${1_700_000_000 + tick * 300},g${at},${tick < 12 ? 1 : 3}`)
        .join('\n'),
    ),
    '',
  ].join('\n'),
};

/** The answer of a Prometheus to a range query, of a label and values for each series. */
export const rangeOf = (
  series: readonly (readonly [Record<string, string>, unknown[]])[],
): string =>
  JSON.stringify({
    status: 'success',
    data: {
      resultType: 'matrix',
      result: series.map(([metric, values]) => ({ metric, values })),
    },
  });
