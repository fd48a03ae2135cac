import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { TABLE } from '../../src/cli/table.ts';
import { isGroup, type Verb } from '../../src/cli/verb.ts';
import { manPages } from '../../tools/package/man.ts';

const of = { version: '1.2.3', date: '2026-01-02' };
const REQUESTS = /^\.(TH|SH|TP|BR|B|I|nf|fi)( |$)/;

describe('the manual pages', () => {
  test('a manual page exists for each verb, and one lists them', async () => {
    const pages = await manPages(TABLE, of);
    const groups = TABLE.filter(isGroup);
    const members = (await Promise.all(groups.map((each) => each.verbs()))).flat();
    assert.equal(pages.length, 1 + TABLE.length - groups.length + members.length);
    const [main, ...others] = pages;
    for (const { file } of others) {
      const name = file.replace(/\.1$/, '').replaceAll('-', '\\-');
      assert.ok(main?.text.includes(`.BR ${name} (1)`), file);
    }
    const issue = pages.find(({ file }) => file === 'godwit-pki-issue.1');
    assert.match(issue?.text ?? '', /\\fB\\-\\-addresses\\fR/);
    // No package has a lab.
    assert.equal(
      pages.some(({ text }) => text.includes('godwit\\-lab\\-')),
      false,
    );
  });

  test("a verb's text brings no roff request into a manual page", async () => {
    const texts = fc.string({ unit: fc.constantFrom('.', "'", '\\', '-', '\n', ' ', 'a', 'B') });
    await fc.assert(
      fc.asyncProperty(texts, texts, async (summary, details) => {
        const spec = { name: 'x', summary, details, examples: [summary] } as const;
        const verb: Verb = { spec, load: () => Promise.reject(new Error('not to be run')) };
        for (const { text } of await manPages([verb], of)) {
          for (const line of text.split('\n')) {
            assert.ok(!/^[.']/.test(line) || REQUESTS.test(line), JSON.stringify(line));
          }
        }
      }),
    );
  });
});
