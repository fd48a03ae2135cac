import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { reportHtml } from '../../../src/words/report-html.ts';
import { reportText } from '../../../src/words/report-text.ts';
import { painter } from '../../../src/words/style.ts';
import { godwitError } from '../../../src/errors.ts';
import type { Report } from '../../../src/protocol/public/migration.ts';
import { endpoint, FakeContext, godwit, ID, report, summary } from '../fake.ts';

const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '</style></svg><iframe src="https://evil.example">',
  '&lt;b&gt;',
  '\u001b[2Jclear',
  '${process.exit()}',
];

/** A report in which every text that another host has a say in is `text`. */
function filled(text: string): Report {
  const error = godwitError(
    'GODWIT_STREAM_FAILED',
    { guest: text, reason: text },
    { hint: text },
  ).toJSON();
  return report({
    id: text,
    guest: text,
    from: text,
    to: text,
    outcome: 'failed',
    startedAt: text,
    endedAt: text,
    checks: [
      { name: text, side: 'source', verdict: 'refuse', evidence: text, error },
      { name: text, side: 'both', verdict: 'warn', evidence: text },
    ],
    decisions: [{ atMs: 1, what: text }],
    vantages: [{ host: text, notTried: text }],
    error,
    leftovers: [error],
  });
}

/** The tags of a page, by name. */
/** But for where a path may be broken, which is ours as well: the same text each time. */
function tags(page: string): string[] {
  const found = page.replaceAll('<wbr />', '').matchAll(/<\/?([a-zA-Z!][^\s>/]*)/g);
  return [...found].map(([, name = '']) => name.toLowerCase());
}

const REQUESTS = [
  'requests to disk0 before its copy',
  'no flushes',
  'no reads, 700 writes (p50 0.2 ms, p99 at least 34.0 s), in 1.2 s',
];

describe('the page of a report', () => {
  for (const text of HOSTILE) {
    test(`the page escapes ${JSON.stringify(text)} wherever it appears`, () => {
      const page = reportHtml(filled(text));
      assert.deepEqual(tags(page), tags(reportHtml(filled('harmless'))));
      assert.ok(!page.includes('\u001b'));
      assert.doesNotMatch(page, /<[^>]*\son\w+=/);
    });
  }

  test('the page has the same tags whatever the texts hold', () => {
    const expected = tags(reportHtml(filled('harmless')));
    const texts = fc.string({
      unit: fc.constantFrom('<', '>', '"', "'", '&', '/', '!', '-', 'a', ' ', '=', '`'),
    });
    fc.assert(
      fc.property(texts, (text) => assert.deepEqual(tags(reportHtml(filled(text))), expected)),
    );
  });

  test('the page loads nothing from elsewhere', () => {
    const page = reportHtml(report());
    assert.doesNotMatch(page, /https?:|src=|href=|url\(|@import|<script|<link/);
    assert.match(page, /default-src 'none'/);
    assert.match(page, /prefers-color-scheme: dark/);
  });

  test('the page shows phases, rounds, decisions, checks and measurements', () => {
    const page = reportHtml(report());
    for (const words of [
      'switchover',
      'polyline',
      '3 rounds in figures',
      'converges',
      'pc-q35-7.2 is known',
      '42 ms',
    ]) {
      assert.ok(page.includes(words), words);
    }
  });

  test('the page shows the copied disks and their bytes over the links, if there are any', () => {
    const disks = [{ node: 'disk0', state: 'whole' as const, copiedBytes: 2e6, totalBytes: 2e6 }];
    const link = {
      sentBytes: 2e6,
      receivedBytes: 1000,
      linkBytes: 3e6,
      cuts: 2,
      longestCutMs: 1500,
    };
    const writes = { count: 700, p50Ms: 0.2, p99Ms: 34_000, isLeast: true as const };
    const during = { overMs: 1200, reads: { count: 0 }, writes };
    const diskLatency = [{ node: 'disk0', before: { flushes: { count: 0 } }, during }];
    const made = report({ disks, diskLink: { ...link, sessions: 1 }, diskLatency });
    const look = { columns: 80, isTerminal: false, paint: painter(false) };
    for (const text of [reportHtml(made), reportText(made, look)]) {
      for (const words of ['Disks', 'disk0', 'over the links', '2, the longest of', ...REQUESTS]) {
        assert.ok(text.includes(words), words);
      }
    }
    assert.doesNotMatch(reportHtml(report()), /Disks/);
  });

  test('the page shows the observations of other hosts, or why there are none, if any were asked', () => {
    const seen = {
      host: 'c',
      kind: 'arp',
      address: '10.9.0.21',
      intervalMs: 10,
      gapMs: 640,
      switchGapMs: 84,
      gapAtMs: 2100,
      isOpen: false,
      sent: 410,
      answered: 400,
      ownStallMs: 150,
      watchedMs: 4200,
    } as const;
    const vantages = [seen, { host: 'd', notTried: 'd watches 8 guests already' }];
    const shown = report({ vantages, firstFrameMs: 7 });
    const look = { paint: painter(false), columns: 200, isTerminal: false };
    for (const page of [reportText(shown, look), reportHtml(shown)]) {
      assert.match(page, /Seen from other hosts/);
      assert.match(page, /84 ms at the switch, at most 640 ms without an answer \(from 2.1 s on\)/);
      assert.match(
        page,
        /ARP to 10.9.0.21 each 10 ms, 400 answers to 410 in 4.2 s, was stalled itself/,
      );
      assert.match(page, /not tried: d watches 8 guests already/);
      assert.match(page, /gap seen by other hosts/);
      assert.match(page, /first frame on the new port/);
    }
    assert.doesNotMatch(reportText(report({}), look), /other hosts|first frame/);
  });

  test('a migration that has just begun has a page, too', () => {
    const begun = report({
      outcome: 'running',
      phase: 'planned',
      finished: 'none',
      phases: [],
      roundList: [],
      checks: [],
      decisions: [],
    });
    assert.match(reportHtml(begun), /no round has ended/);
    assert.match(
      reportText(begun, { columns: 80, isTerminal: false, paint: painter(false) }),
      /is moving/,
    );
  });

  test('the page stays small after very many rounds', () => {
    const [round] = report().roundList;
    assert.ok(round !== undefined);
    const roundList = Array.from({ length: 10_000 }, (_, index) => ({
      ...round,
      round: index + 1,
    }));
    const page = reportHtml(report({ roundList }));
    assert.ok((page.match(/<rect class="left"/g) ?? []).length <= 120);
  });
});

describe('the text of a report', () => {
  test('the text names values that a manager did not report, shows nothing in their place, and lists leftovers', () => {
    const { bytes: _, rounds: __, throughput: ___, pageRequests: ____, ...rest } = report();
    const left = godwitError('GODWIT_DEADLINE', { what: 'step finish', deadlineMs: 30_000 });
    const managed: Report = { ...rest, finished: 'unknown', leftovers: [left.toJSON()] };
    const text = reportText(managed, { columns: 100, isTerminal: false, paint: painter(false) });
    assert.match(text, /not reported by its manager +bytes sent, rounds, throughput/);
    assert.match(text, /Left behind\nGODWIT_DEADLINE: step finish took longer than 30\.0 s/);
    assert.match(text, /\(by its manager, m-/);
    assert.doesNotMatch(text, /undefined|unknown|NaN/);
    assert.match(reportHtml(managed), /Left behind/);
  });

  test('the text keeps checks that were not possible apart from failures', () => {
    const look = { columns: 100, isTerminal: false, paint: painter(false) };
    const check = {
      name: 'guest',
      side: 'destination',
      verdict: 'pass',
      evidence: 'seen',
    } as const;
    const skipped = { ...check, notTried: true } as const;
    const line = (verified: Report['verified']): string =>
      /^verified +(.*)$/m.exec(reportText(report({ verified }), look))?.[1] ?? '';
    const words = 'all 2 checks passed (5 more do not apply or were not possible)';
    assert.equal(line([check, check, ...Array.from({ length: 5 }, () => skipped)]), words);
    const doubted = { ...check, verdict: 'warn' } as const;
    assert.match(line([check, doubted]), /^1 of 2 checks passed; in doubt: guest/);
    assert.match(line([skipped]), /^no check was possible/);
  });

  test('the text holds no control sequence for a terminal', () => {
    for (const text of HOSTILE) {
      const shown = reportText(filled(text), {
        columns: 80,
        isTerminal: false,
        paint: painter(false),
      });
      assert.ok(!shown.includes('\u001b'));
    }
  });

  test('the text shows the error with its hint', () => {
    const shown = reportText(filled('x'), {
      columns: 80,
      isTerminal: false,
      paint: painter(false),
    });
    assert.match(shown, /GODWIT_STREAM_FAILED: the memory stream of x broke/);
  });
});

describe('the report of a migration over the wire', () => {
  const level = { level: 1, windowLog: 0 };
  const wired = report({
    settings: { ...report().settings, path: 'auto', linkGraceMs: 5000 },
    wire: {
      streamBytes: 600 * 1024 * 1024,
      linkBytes: 150 * 1024 * 1024,
      returnBytes: 2048,
      told: { bytes: 9, zero: 700, literal: 300, cached: 0 },
      misses: 4,
      levels: [
        { atMs: 1500, from: level, to: { level: 6, windowLog: 24 } },
        { atMs: 2500, from: { level: 6, windowLog: 24 }, to: { level: 0, windowLog: 0 } },
      ],
      processorMs: 2500,
      cuts: 2,
      longestCutMs: 10_100,
      sessions: 1,
    },
  });

  test('the report shows the bytes on the links, how many were hidden, and how pages were encoded', () => {
    const shown = reportText(wired, { columns: 120, isTerminal: false, paint: painter(false) });
    assert.match(shown, /over the wire +150 MiB \(25 %\), 2 cuts hidden, the longest of 10\.1 s/);
    assert.match(shown, /pages zero +700\n/);
    assert.match(shown, /compression after 1\.5 s +zstd 6, looking back 16 MiB/);
    assert.match(shown, /compression after 2\.5 s +none: the link is faster than a processor/);
    assert.match(shown, /path +auto\n/);
    assert.doesNotMatch(shown, /cache of|in the other host’s cache/);
  });

  test('the wire has a separate part of the page, which a native migration lacks', () => {
    assert.match(reportHtml(wired), /<h2>Wire<\/h2>/);
    assert.doesNotMatch(reportHtml(report()), /<h2>Wire<\/h2>/);
  });
});

describe('godwit report --html', () => {
  const agent = endpoint('a', {
    migrations: async () => ({ migrations: [summary({ phase: 'done' })] }),
    report: async () => report(),
  });

  test('godwit report --html writes one file and leaves no other', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'godwit-report-'));
    try {
      const file = path.join(folder, 'report.html');
      const context = new FakeContext(agent);
      assert.equal(await godwit(context, `report ${ID} --html ${file}`), 0);
      assert.equal(context.out.text, '');
      assert.match(await readFile(file, 'utf8'), /^<!doctype html>/);
      assert.deepEqual(await readdir(folder), ['report.html']);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('godwit report --html names a file that could not be written', async () => {
    const context = new FakeContext(agent);
    const file = path.join(tmpdir(), 'godwit-no-such-folder', 'report.html');
    assert.equal(await godwit(context, `report ${ID} --html ${file}`), 2);
    assert.match(context.err.text, /report\.html: cannot be written \(ENOENT\)/);
  });

  test('godwit report --html prints the page when the file is -', async () => {
    const context = new FakeContext(agent);
    assert.equal(await godwit(context, `report ${ID} --html -`), 0);
    assert.match(context.out.text, /^<!doctype html>/);
  });
});
