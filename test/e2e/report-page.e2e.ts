import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import { reportHtml } from '../../src/words/report-html.ts';
import { tempDir } from '../rpc/test-contract.ts';
import { reportOfALongMove, reportThatFailed } from '../report-samples.ts';

const SETUP = path.resolve(import.meta.dirname, '../../tools/setup.sh');
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WIDTHS = [390, 900, 1400];
/** Where the pictures are kept for a person to look at; none without it. */
const PICTURES = process.env['GODWIT_REPORT_PICTURES'];
const SAMPLES = { done: reportOfALongMove(), failed: reportThatFailed() };

/** What on the page a reader could not read. Text, since the types of tests are not those of a page. */
const UNREADABLE = `(() => {
  const found = [];
  const { scrollWidth } = document.documentElement;
  if (scrollWidth > innerWidth) found.push('the page is ' + scrollWidth + ' px wide');
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node !== null; node = texts.nextNode()) {
    const element = node.parentElement;
    if (element === null || element.closest('style, title') !== null) continue;
    const text = node.nodeValue ?? '';
    const size = Number.parseFloat(getComputedStyle(element).fontSize);
    if (text.trim() !== '' && size < 11) found.push(text.trim() + ' is ' + size + ' px high');
    for (const match of text.matchAll(/m-[a-z0-9]+|[\\p{L}\\p{N}._]{2,24}/gu)) {
      const range = document.createRange();
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
      if (lines.size > 1) found.push(match[0] + ' is broken');
    }
  }
  for (const list of document.querySelectorAll('ol.y, ol.x')) {
    const boxes = [...list.children].map((each) => each.getBoundingClientRect());
    for (const [at, box] of boxes.entries()) {
      const next = boxes[at + 1];
      const apart = next === undefined || next.left >= box.right || next.top >= box.bottom - 1;
      if (!apart) found.push('labels of an axis lie on each other: ' + list.textContent);
      if (box.left < 0 || box.right > innerWidth) found.push('a label is off the page');
    }
  }
  return found;
})()`;

/** Of each phase, the colours in which it is drawn and named. */
const COLOURS_OF_PHASES = `(() => {
  const colours = {};
  for (const each of document.querySelectorAll('[class^="ph-"]')) {
    const { fill, backgroundColor } = getComputedStyle(each);
    (colours[each.classList[0]] ??= []).push(each.tagName === 'rect' ? fill : backgroundColor);
  }
  return colours;
})()`;

describe('the page of a report, in a browser', () => {
  let browser: Browser;

  before(async () => {
    execFileSync('bash', [SETUP, '--only', 'chromium'], { stdio: ['ignore', 2, 2] });
    browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--no-sandbox'],
    });
  });
  after(() => browser?.close());

  const looks = (['light', 'dark'] as const).flatMap((colorScheme) =>
    WIDTHS.map((width) => ({ colorScheme, width })),
  );
  const picture = async (page: Page, name: string): Promise<void> => {
    if (PICTURES === undefined) return;
    mkdirSync(PICTURES, { recursive: true });
    await page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });
  };

  for (const [name, report] of Object.entries(SAMPLES)) {
    for (const { colorScheme, width } of looks) {
      test(`the page of a move that ${name === 'done' ? 'was made' : name} can be read at ${width} px, ${colorScheme}`, async (t) => {
        const file = path.join(tempDir(t), 'report.html');
        writeFileSync(file, reportHtml(report));
        // axe-core is put into the page, which its policy refuses to everybody else.
        const context = await browser.newContext({
          colorScheme,
          viewport: { width, height: 900 },
          bypassCSP: true,
        });
        t.after(() => context.close());
        const page = await context.newPage();
        await page.goto(pathToFileURL(file).href);
        await picture(page, `${name}-${width}-${colorScheme}`);
        assert.deepEqual(await page.evaluate(UNREADABLE), []);
        await page.addScriptTag({ content: AXE });
        const { violations } = (await page.evaluate('axe.run()')) as {
          violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
        };
        assert.deepEqual(
          violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`),
          [],
        );
      });
    }
  }

  test('the page draws a phase in one color, in the bar and in its legend, even if it comes twice', async (t) => {
    const page = await browser.newPage();
    t.after(() => page.close());
    await page.setContent(reportHtml(SAMPLES.done));
    const colours = (await page.evaluate(COLOURS_OF_PHASES)) as Record<string, string[]>;
    assert.ok(Object.keys(colours).length >= 6);
    assert.equal(colours['ph-memory']?.length, 4);
    for (const [phase, of] of Object.entries(colours)) {
      assert.equal(new Set(of).size, 1, `${phase}: ${of.join(', ')}`);
      assert.notEqual(of[0], 'rgb(0, 0, 0)', phase);
    }
    const all = Object.values(colours).map(([colour]) => colour);
    assert.equal(new Set(all).size, all.length);
  });
});
