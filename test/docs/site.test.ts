import assert from 'node:assert/strict';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import MiniSearch from 'minisearch';
import { buildSite } from '../../tools/site.ts';
import { siteConfig } from '../../tools/site/site-config.ts';

/** The search box of the theme searches these fields with these weights. */
const SEARCH = {
  fields: ['title', 'titles', 'text'],
  storeFields: ['title', 'titles'],
  searchOptions: { fuzzy: 0.2, prefix: true, boost: { title: 4, text: 2, titles: 1 } },
};

/** A build takes 10 s of processor time, and much longer on a busy machine. */
const DEADLINE_MS = 300_000;

describe('the documentation site', { timeout: DEADLINE_MS }, () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'godwit-site-'));
  const site = path.join(folder, 'site');
  const pages = new Map<string, string>();
  before(
    async () => {
      await buildSite(site);
      for (const page of globSync('**/*.html', { cwd: site }))
        pages.set(page, readFileSync(path.join(site, page), 'utf8'));
    },
    { timeout: DEADLINE_MS },
  );
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('every page of docs/ is on the site', () => {
    for (const page of globSync('docs/**/*.md')) {
      const name = path.relative('docs', page).replace(/\.md$/, '.html');
      assert.ok(pages.has(name.replace(/README\.html$/, 'index.html')), page);
    }
  });

  test('no link is broken, to a page or to a heading', () => {
    const broken: string[] = [];
    let count = 0;
    for (const [page, html] of pages) {
      for (const [, href = ''] of html.matchAll(/<a [^>]*href="([^"]*)"/g)) {
        if (/^[a-z]+:/.test(href)) continue;
        count += 1;
        const [place = '', anchor] = href.split('#');
        const target =
          place === '' ? page : place.replace('/docs/', '').replace(/^$/, 'index.html');
        const text = pages.get(target);
        if (text === undefined) broken.push(`${page}: ${href}`);
        else if (anchor && !text.includes(`id="${decodeURIComponent(anchor)}"`))
          broken.push(`${page}: ${href} names no heading`);
      }
    }
    assert.deepEqual(broken, []);
    assert.ok(count > 1000, String(count));
  });

  test('no page has a script or a style in it, or loads anything from elsewhere', () => {
    for (const [page, html] of pages) {
      assert.doesNotMatch(html, /<script(?![^>]*\ssrc=)[^>]*>/, page);
      assert.doesNotMatch(html, /<[a-z]+ [^>]*\sstyle="/, page);
      assert.doesNotMatch(html, /<style/, page);
      for (const [tag] of html.matchAll(/<(?:script|link|img|iframe|source)\b[^>]*>/g))
        assert.doesNotMatch(tag, /(?:src|href)="(?:[a-z]+:)?\/\//, page);
    }
    for (const file of globSync('**/*.css', { cwd: site }))
      assert.doesNotMatch(
        readFileSync(path.join(site, file), 'utf8'),
        /(?:@import|url\()\s*["']?(?:https?:)?\/\/|data:/,
        file,
      );
  });

  test('the search finds drain, ports, encrypt and held', async () => {
    const [index = ''] = globSync('assets/chunks/@localSearchIndexroot.*.js', { cwd: site });
    const { default: json } = (await import(path.join(site, index))) as { default: string };
    const search = MiniSearch.loadJSON<{ id: string }>(json, SEARCH);
    const first = (words: string): string[] =>
      search
        .search(words)
        .slice(0, 10)
        .map(({ id }) => String(id));
    const expected = { drain: /drain|fleet|tasks/, ports: /port/, encrypt: /./, held: /held/ };
    for (const [words, place] of Object.entries(expected)) {
      const found = first(words);
      assert.ok(
        found.some((id) => place.test(id)),
        `${words}: ${found.join(', ')}`,
      );
    }
    assert.deepEqual(first('zzqqxx'), []);
  });
});

test("the theme's marks in the pages are the same wherever node_modules is", () => {
  const mark = siteConfig().vue?.features?.componentIdGenerator;
  assert.ok(typeof mark === 'function');
  const at = (file: string): string => mark(file, '<template/>', true, (text) => text ?? '');
  assert.equal(
    at('../../node_modules/vitepress/a.vue'),
    at('../../../else/node_modules/vitepress/a.vue'),
  );
  assert.notEqual(
    at('../../node_modules/vitepress/a.vue'),
    at('../../node_modules/vitepress/b.vue'),
  );
});
