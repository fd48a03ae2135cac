import type { Files } from '../../../../src/planner/sim/history/history.ts';

/** Two hosts of 8 cores; four guests on a, which ask for 12 cores together from the second hour on. */
export const FILES: Files = {
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
