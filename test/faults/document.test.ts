import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  BEGIN,
  BOX_BEGIN,
  BOX_END,
  END,
  POWER_BEGIN,
  POWER_END,
  powerText,
  resultsText,
  withResults,
} from '../../faults/document.ts';
import type { PlayResult } from '../../faults/play.ts';

const played = (cell: string, more: Partial<PlayResult> = {}): PlayResult => ({
  cell,
  ok: true,
  problems: [],
  outcome: 'done',
  recoveryMs: 260,
  tookMs: 6000,
  ...more,
});

describe("the page of the fault matrix's results", () => {
  test('the page of results shows each cell with its end and its recovery time, and the medians', () => {
    const text = resultsText([
      played('kill-source-mover/first-round/precopy'),
      played('link-reset/first-round/precopy', { outcome: 'failed', recoveryMs: 1140 }),
      played('kill-source-qemu/first-round/precopy', { outcome: 'failed' }),
      played('link-dark-5s/after-commit/postcopy', { recoveryMs: 900 }),
    ]);
    assert.match(text, /\| source's mover killed \| \? \| \? \| done 0\.3 s \|/);
    assert.match(text, /reset \| \? \| \? \| back 1\.1 s \|/);
    assert.match(text, /\| source's QEMU killed \| \? \| \? \| back 0\.3 s \|/);
    assert.match(text, /forward or back \| 0\.3 s \(3 cells\) \| 3 s/);
    assert.match(text, /after the link returned \| 0\.9 s \(1 cells\) \| 2 s/);
  });

  test('a red cell is shown with its reason, and the last attempt of a cell counts', () => {
    const cell = 'link-reset/switchover/precopy';
    const red = played(cell, { ok: false, problems: ['TWO COPIES RAN: a and b'] });
    assert.match(resultsText([played(cell), red]), /\*\*0 green, 1 red\*\*/);
    assert.match(
      resultsText([played(cell), red]),
      /- `link-reset\/switchover\/precopy`: TWO COPIES/,
    );
    assert.match(resultsText([red, played(cell)]), /\*\*1 green, 0 red\*\*/);
  });

  test('the page of results has a separate part for disks, outside the other counts and medians', () => {
    const text = resultsText([
      played('kill-source-mover/first-round/precopy'),
      played('kill-source-mover/seeding/precopy', { recoveryMs: 9000 }),
      played('storage-full/disks-first-pass/precopy', { outcome: 'failed', recoveryMs: 2000 }),
    ]);
    assert.match(text, /^1 of \d+ cells played/);
    assert.match(text, /forward or back \| 0\.3 s \(1 cells\)/);
    const [, disks = ''] = text.split('### Disks that are copied');
    assert.match(disks, /^\s+2 of \d+ cells played/);
    assert.match(disks, /\| source's mover killed \| done 9\.0 s \| \? \|/);
    assert.match(disks, /storage full for 3 s \| \? \| back 2\.0 s \|/);
  });

  test('the page of results is written between its marks', () => {
    const page = readFileSync(new URL('../../bench/results/faults.md', import.meta.url), 'utf8');
    const of = (text: string, begin: string, end: string): string =>
      text.slice(text.indexOf(begin), text.indexOf(end));
    const machine = [played('kill-source-mover/first-round/precopy')];
    const box = [played('kill-source-mover/box-dump/precopy', { recoveryMs: 1500 })];
    const written = withResults(page, machine);
    assert.ok(written.includes(`${BEGIN}\n\n${resultsText(machine)}\n\n${END}`));
    // What was not played keeps the results that it has.
    assert.equal(of(written, BOX_BEGIN, BOX_END), of(page, BOX_BEGIN, BOX_END));
    const both = withResults(written, box);
    assert.equal(of(both, BEGIN, END), of(written, BEGIN, END));
    assert.match(
      of(both, BOX_BEGIN, BOX_END),
      /\| source's mover killed \| \? \| \? \| \? \| done 1\.5 s \| \?/,
    );
    assert.equal(withResults(both, [...machine, ...box]), both);
    assert.throws(() => withResults('no marks', machine), /marks/);
  });

  test('the page of results has a table of hosts that lose their power, between separate marks', () => {
    const page = readFileSync(new URL('../../bench/results/faults.md', import.meta.url), 'utf8');
    const power = [
      played('power-source/first-round/precopy', { recovered: 'c', recoveryMs: 9000 }),
      played('power-destination/after-commit/precopy', { outcome: 'held' }),
    ];
    const written = withResults(page, power);
    assert.ok(written.includes(`${POWER_BEGIN}\n\n${powerText(power)}\n\n${POWER_END}`));
    const outside = (text: string): string =>
      text.slice(0, text.indexOf(POWER_BEGIN)) + text.slice(text.indexOf(POWER_END));
    assert.equal(outside(written), outside(page));
    assert.match(written, /\| source without power \| \? \| \? \| recovered 9\.0 s \|/);
    assert.match(powerText([]), /^The table has no results yet: \d+ cells/);
  });
});
