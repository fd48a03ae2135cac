import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { niceTop } from '../../../src/words/report-charts.ts';
import { reportHtml } from '../../../src/words/report-html.ts';
import { PHASE_COLOURS } from '../../../src/words/report-style.ts';
import { reportText } from '../../../src/words/report-text.ts';
import { painter } from '../../../src/words/style.ts';
import { reportOfALongMove, reportThatFailed } from '../../report-samples.ts';
import { report } from '../fake.ts';

describe('the page of a report', () => {
  test("the page has axes with units, the day at the top, and the terminal's words", () => {
    const look = { columns: 80, isTerminal: false, paint: painter(false) };
    for (const made of [reportOfALongMove(), reportThatFailed(), report()]) {
      const page = reportHtml(made);
      assert.match(page, /<p class="when">2026-01-02 03:04:05 UTC, took /);
      assert.match(page, /<ol class="y"[^>]*>\s*<li>[\d.]+ [KMGT]iB<\/li>/);
      assert.match(page, /<ol class="y"[^>]*>\s*<li>[\d.]+ [KMGT]iB\/s<\/li>/);
      assert.match(page, /<li>round 1<\/li>/);
      const [headline = ''] = reportText(made, look).split('\n');
      assert.ok(page.replaceAll(/<\/?span[^>]*>/g, '').includes(headline), headline);
      const [, rounds] = /<summary>(.*) in figures/.exec(page) ?? [];
      assert.equal(
        rounds,
        made.roundList.length === 1 ? '1 round' : `${made.roundList.length} rounds`,
      );
    }
    assert.match(reportHtml(reportOfALongMove()), /Guest slowed down by[^]*<li>100 %<\/li>/);
  });

  test('the page calls an untried check neither passed nor ok, as the terminal does', () => {
    const look = { columns: 80, isTerminal: false, paint: painter(false) };
    const page = reportHtml(reportOfALongMove());
    assert.match(
      page,
      /<b class="none">-<\/b>\s*<span\s*>segment \(destination\):\s+net0: not tried/,
    );
    assert.ok(page.includes('/<wbr />kernel/<wbr />boot/<wbr />vmlinuz-6.1.0-50'));
    assert.match(page, /<b class="pass">ok<\/b>\s*<span\s*>machine/);
    assert.match(
      reportText(reportOfALongMove(), look),
      /^- {7}segment \(destination\): net0: not tried/m,
    );
  });

  test('the page gives each phase a separate color, the same as on the dashboard', () => {
    const css = readFileSync(
      path.resolve(import.meta.dirname, '../../../web/src/style/details.css'),
      'utf8',
    );
    const colours = Object.values(PHASE_COLOURS);
    assert.equal(new Set(colours).size, colours.length);
    for (const [name, colour] of Object.entries(PHASE_COLOURS))
      assert.ok(css.includes(`.ph-${name} {\n  background: ${colour};\n}`), name);
  });

  test('the top of an axis is at least the largest value and at most twice as high', () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 2 ** 50, noNaN: true }), (most) => {
        const top = niceTop(most);
        assert.ok(top >= most && top <= most * 2.5, `${most}: ${top}`);
      }),
    );
    assert.equal(niceTop(0), 1);
  });
});
