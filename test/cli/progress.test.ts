import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { NOTHING_SHOWN, phaseWords, progressBlock, show } from '../../src/words/progress.ts';
import { width } from '../../src/words/terminal-width.ts';
import { painter } from '../../src/words/style.ts';
import { Screen } from '../../src/cli/screen.ts';
import { phase, type Progress } from '../../src/protocol/public/migration.ts';
import {
  FakeContext,
  FakeOutput,
  endpoint,
  godwit,
  likeBefore,
  progress,
  report,
  sample,
  summary,
} from './fake.ts';

const plain = painter(false);
const moving = progress('memory', {
  elapsedMs: 4200,
  percent: 62,
  etaMs: 3100,
  sample: sample(2, { expectedDowntimeMs: 80 }),
});

/** Everything that a log would hold of these. */
function log(...steps: Progress[]): string[] {
  let shown = NOTHING_SHOWN;
  return steps.flatMap((each) => {
    const step = show(shown, each, 'log');
    ({ shown } = step);
    return step.lines;
  });
}

describe('the log of a migration', () => {
  test('the log matches its snapshot', (t) => {
    const lines = log(
      progress('checking'),
      progress('preparing', { elapsedMs: 120 }),
      progress('memory', { elapsedMs: 600 }),
      progress('memory', { elapsedMs: 700, percent: 3, sample: sample(1) }),
      progress('memory', { elapsedMs: 3000, percent: 60, sample: sample(1) }),
      moving,
      progress('memory', {
        elapsedMs: 5000,
        note: 'takes post-copy: dirty 200 MiB/s, rate 118 MiB/s',
      }),
      progress('switchover', { elapsedMs: 6000 }),
      progress('done', { elapsedMs: 6100, percent: 100 }),
    );
    likeBefore(t, lines.join('\n'));
  });

  test('the log shows no rate before it is measured, and 0 if that is the rate', () => {
    const none = { rate: 0, dirtyRate: 0 };
    const shown = (round: number, rates: object) => {
      const now = progress('memory', { sample: sample(round, rates) });
      return [...log(now), ...progressBlock(now, 200, plain)].join('\n');
    };
    assert.doesNotMatch(shown(1, none), /rate|dirty/);
    assert.doesNotMatch(shown(1, { ...none, rate: 1 }), /dirty/);
    assert.match(shown(1, { ...none, rate: 1 }), /rate 1 B\/s/);
    assert.match(shown(2, none), /rate 0 B\/s[^]*dirty 0 B\/s/);
  });

  test('the log reports a phase and a decision once', () => {
    const note = 'waits for the destination';
    const lines = log(
      progress('memory', { note }),
      progress('memory', { note }),
      progress('memory'),
    );
    assert.equal(lines.length, 2);
  });

  test('the log reports no numbers of the stream once the stream is over', () => {
    const lines = log(
      progress('memory', { elapsedMs: 1000, sample: sample(1) }),
      progress('cleanup', { elapsedMs: 5000, sample: sample(4) }),
    );
    assert.equal(lines.filter((line) => line.includes('round')).length, 1);
  });

  test('the log shows a sign of life every ten seconds', () => {
    const steps = Array.from({ length: 61 }, (_, second) =>
      progress('memory', { elapsedMs: second * 1000, sample: sample(1) }),
    );
    assert.equal(log(...steps).length, 1 + 1 + 6);
  });

  test('the log stays short, however many rounds there are', () => {
    const rounds = fc.array(fc.nat({ max: 50 }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(rounds, (gaps) => {
        let elapsedMs = 0;
        const steps = gaps.map((gap, index) => {
          elapsedMs += gap;
          return progress('memory', { elapsedMs, sample: sample(index + 1) });
        });
        assert.ok(log(...steps).length <= 2 + Math.ceil(elapsedMs / 1000));
      }),
    );
  });

  test('every phase has a description', () => {
    for (const each of phase.options) assert.ok(phaseWords(each).length > 3);
  });

  test('a note from another host cannot steer the terminal', () => {
    const [, line = ''] = log(progress('memory', { note: 'bad \u001b[2J \u202e note' }));
    assert.ok(!line.includes('\u001b') && !line.includes('\u202e'));
  });
});

describe('the block on a terminal', () => {
  for (const columns of [120, 80, 40]) {
    test(`the block of ${columns} columns matches its snapshot`, (t) => {
      likeBefore(t, progressBlock(moving, columns, plain).join('\n'));
    });
  }

  test('the block has three lines in every phase and fits any width', () => {
    const progresses = fc.record({
      phase: fc.constantFrom(...phase.options),
      percent: fc.double({ min: 0, max: 100, noNaN: true }),
      elapsedMs: fc.nat(),
      round: fc.nat({ max: 9999 }),
      columns: fc.integer({ min: 1, max: 200 }),
      color: fc.boolean(),
    });
    fc.assert(
      fc.property(progresses, ({ columns, color, round, ...more }) => {
        const now = progress(more.phase, { ...more, sample: sample(round) });
        const lines = progressBlock(now, columns, painter(color));
        assert.equal(lines.length, 3);
        for (const line of lines) assert.ok(width(line) <= columns, line);
      }),
    );
  });
});

describe('the screen', () => {
  test('the cursor moves up by the rows of the previous lines, even if the terminal became narrower', () => {
    const out = new FakeOutput();
    const screen = new Screen(out);
    screen.draw(['x'.repeat(60), 'y']);
    out.text = '';
    screen.draw(['z']);
    assert.ok(out.text.startsWith('\r\u001b[2A\u001b[J'));
    screen.draw(['x'.repeat(60), 'y']);
    out.width = 20;
    out.text = '';
    screen.clear();
    assert.equal(out.text, '\r\u001b[4A\u001b[J');
  });

  test('the screen keeps only the decisions and the summary on a terminal', async () => {
    const context: FakeContext = new FakeContext(
      endpoint('a', {
        migrations: async () => ({ migrations: [summary()] }),
        report: async () => report(),
        async *events() {
          yield moving;
          context.resize();
          yield progress('memory', { note: 'takes post-copy' });
          yield progress('done');
        },
      }),
    );
    context.out.isTerminal = true;
    context.env['NO_COLOR'] = '1';
    assert.equal(await godwit(context, 'watch'), 0);
    assert.deepEqual(screenAfter(context.out.text).slice(0, 2), [
      '    0 ms  takes post-copy',
      '✔ web1 moved from a to b (precopy, m-0123456789ab)',
    ]);
  });
});

/** The lines that a terminal shows after `text`, for the few controls that Screen uses. */
function screenAfter(text: string): string[] {
  const lines = [''];
  for (const piece of text.replaceAll('\u001b', '^').split(/(\r\^\[\d+A\^\[J|\n)/)) {
    const up = /\[(\d+)A/.exec(piece)?.[1];
    if (up !== undefined) {
      lines.splice(lines.length - 1 - Number(up), Number(up) + 1, '');
    } else if (piece === '\n') lines.push('');
    else lines[lines.length - 1] += piece;
  }
  return lines;
}
