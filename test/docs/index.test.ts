import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

const docs = path.resolve(import.meta.dirname, '../../docs');

describe('docs/README.md', () => {
  const links = [...readFileSync(path.join(docs, 'README.md'), 'utf8').matchAll(/\]\(([^)#]+)/g)];
  const linked = new Set(links.map(([, target = '']) => path.normalize(target)));

  test('the index links to every page of the documentation', () => {
    const pages = readdirSync(docs, { recursive: true, encoding: 'utf8' });
    const missing = pages.filter(
      (page) => page.endsWith('.md') && page !== 'README.md' && !linked.has(page),
    );
    // A folder that is linked as a whole speaks for its pages.
    const alone = missing.filter((page) => !linked.has(`${path.dirname(page)}/`));
    assert.deepEqual(alone, []);
  });

  test('the index describes each page in one sentence', () => {
    const page = readFileSync(path.join(docs, 'README.md'), 'utf8');
    const lines = page.split('\n').filter((line) => line.startsWith('- '));
    for (const line of lines) assert.match(line, /^- \[[^\]]+\]\([^)]+\): [^.]+\.$/);
  });
});

test('each block of code in the documentation is on separate lines', () => {
  for (const page of readdirSync(docs, { recursive: true, encoding: 'utf8' })) {
    if (!page.endsWith('.md')) continue;
    const fences = readFileSync(path.join(docs, page), 'utf8')
      .split('\n')
      .filter((line) => line.includes('```'));
    assert.equal(fences.length % 2, 0, page);
    for (const line of fences) assert.match(line, /^ *```[a-z]*$/, page);
  }
});
