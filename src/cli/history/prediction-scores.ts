import { DISK_FIGURE_NAMES, FIGURE_NAMES } from '../../protocol/controller/figure-names.ts';
import type { DiskScore, PredictionScore } from '../../protocol/controller/history.ts';
import { SPREAD, spreadRow } from './kept-reports.ts';
import { renderTable, type Look } from '../../words/table.ts';

const NAMES = { ...FIGURE_NAMES, ...DISK_FIGURE_NAMES };

export function scoresText(scores: readonly (PredictionScore | DiskScore)[], look: Look): string {
  const [first] = scores;
  if (first === undefined)
    return 'no migration that was predicted has ended yet; rehearsals do not count\n';
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const rows = scores.map(({ of, within, error, size }) => [
    NAMES[of],
    ...spreadRow(size, percent),
    percent(error.mean),
    percent(within),
  ]);
  const held = `WITHIN (AIM ${percent(first.level)})`;
  return renderTable(['ERROR OF', ...SPREAD, 'MEAN', held], rows, look);
}
