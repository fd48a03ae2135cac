/** The documentation as a browser shows it below /docs of a controller, by the controller's policy. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { before, test } from 'node:test';
import { silentLog } from '../../src/log.ts';
import { buildSite } from '../../tools/site.ts';
import { fleet } from '../agent/samples.ts';
import { controllerOf } from '../controller/test-controller.ts';
import { tempDir } from '../rpc/test-contract.ts';
import { openBrowser, openPage, sidewaysPx } from './axe.ts';

const SETUP = path.resolve(import.meta.dirname, '../../tools/setup.sh');
const WAIT_MS = 30_000;
/** Words of a new user, and the page that the search has to offer. */
const SEARCHES = {
  drain: 'first-drain.html',
  ports: 'ports.html',
  encrypt: 'security.html',
  held: 'held.html',
} as const;
/** A page of each shape: lists, wide tables, long code, steps. */
const SHAPES = ['', 'failing.html', 'configuration.html', 'two-hosts.html'];

before(() => {
  execFileSync('bash', [SETUP, '--only', 'chromium'], { stdio: ['ignore', 2, 2] });
});

test('the documentation works offline in a browser, its search helps a new user, and it fits a phone', async (t) => {
  const folder = tempDir(t);
  await buildSite(path.join(folder, 'site'));
  const { caDir } = await fleet(t);
  const given = { hosts: {}, web: { address: '127.0.0.1:0' } };
  const { controller } = await controllerOf(t, caDir, given, silentLog, path.join(folder, 'web'));
  const at = `https://${controller.web}/docs/`;
  const browser = await openBrowser();
  t.after(() => browser.close());

  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const reader = await context.newPage();
  reader.setDefaultTimeout(WAIT_MS);
  const complaints: string[] = [];
  reader.on('pageerror', (error) => complaints.push(String(error)));
  reader.on('console', (line) => {
    if (['error', 'warning'].includes(line.type())) complaints.push(line.text());
  });
  reader.on('request', (request) => {
    if (!request.url().startsWith(at)) complaints.push(`asks for ${request.url()}`);
  });
  await reader.goto(at);
  for (const [words, place] of Object.entries(SEARCHES)) {
    await reader.getByRole('button', { name: 'Search' }).first().click();
    await reader.getByPlaceholder('Search').fill(words);
    // The box shows the results of the former words until it has these.
    await reader.locator(`a.result[href*="/docs/${place}"]`).first().click();
    await reader.waitForURL((url) => url.pathname === `/docs/${place}`);
    await reader.locator('main h1').waitFor();
  }
  assert.deepEqual(complaints, []);

  const { page, errors } = await openPage(browser, WAIT_MS);
  for (const shape of SHAPES) {
    await page.goto(at + shape);
    await page.locator('main h1').waitFor();
    assert.equal(await sidewaysPx(page), 0, shape);
  }
  assert.deepEqual(errors, []);
});
