/** Each page of the dashboard in each state that it can be in, with a made-up API: what axe-core finds, and what it says. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import {
  DONE_ID,
  GUEST,
  OPEN_ID,
  ROLL_ID,
  REQUEST_ID,
} from '../../bench/dashboard/sample-values.ts';
import { serveMadeUp, type MadeUp } from '../../bench/dashboard/server.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { buildWeb } from '../../tools/web.ts';
import { findings, openBrowser, openPage, sidewaysPx } from './axe.ts';

const SETUP = path.resolve(import.meta.dirname, '../../tools/setup.sh');
const WAIT_MS = 30_000;
const FLEET = { hosts: 18, guestsOfEach: 4 };

/** Where each page is, and a heading or text that it has once it is there. */
const PAGES: Readonly<Record<string, readonly [at: string, there: string]>> = {
  'the fleet': ['/', 'Hosts up'],
  'the fleet as a table': ['/?view=table', '[role=columnheader] >> text=Pressure'],
  'a fleet in which nothing is found': ['/?find=nothing-is-called-so', 'No host matches.'],
  'a host': ['/hosts/node-00001', 'Facts'],
  guests: ['/guests', 'CPU in use'],
  'a guest': [`/guests/${GUEST}`, 'Hosts of this guest, and reasons'],
  'drains and moves': ['/requests', 'Drain of'],
  'a drain': [`/requests/${REQUEST_ID}`, 'Guests that wait, and reasons'],
  'a roll': [`/requests/${ROLL_ID}`, 'waited for'],
  'a new drain without a host': ['/requests/new?kind=drain', 'The plan appears here'],
  'a new drain': ['/requests/new?kind=drain&hosts=node-00002', 'The plan, if you confirm'],
  migrations: ['/migrations', 'Client gap'],
  'a migration that goes on': [`/migrations/${OPEN_ID}`, 'Decisions'],
  'a report': [`/migrations/${DONE_ID}`, 'Download the report'],
  proposals: ['/proposals', 'balance'],
  insight: ['/insight', 'Downtime'],
  'the audit log': ['/audit', 'Result of the request'],
  'a page that is not there': ['/none', 'There is no page at /none.'],
};
/** Pages and the part of the API that each asks for first. */
const ASKS = {
  '/': '**/v1/overview',
  '/guests': '**/v1/guests?*',
  '/migrations': '**/v1/migrations?*',
  '/insight': '**/v1/insight?*',
  '/proposals': '**/v1/proposals*',
  '/audit': '**/v1/audit?*',
} as const;

describe('the pages of the dashboard', () => {
  const pages = mkdtempSync(path.join(tmpdir(), 'godwit-states-'));
  let browser: Browser;
  let served: MadeUp;

  before(async () => {
    execFileSync('bash', [SETUP, '--only', 'chromium'], { stdio: ['ignore', 2, 2] });
    buildWeb(pages);
    served = await serveMadeUp(pages, FLEET);
    browser = await openBrowser();
  });
  after(async () => {
    await browser?.close();
    await served?.close();
    rmSync(pages, { recursive: true, force: true });
  });

  async function opened(work: (page: Page) => Promise<void>): Promise<void> {
    const { page, errors } = await openPage(browser, WAIT_MS);
    try {
      await work(page);
      assert.deepEqual(errors, []);
    } finally {
      await page.context().close();
    }
  }

  for (const [name, [at, there]] of Object.entries(PAGES)) {
    test(`axe-core finds nothing on ${name}, and it fits a phone`, () =>
      opened(async (page) => {
        await page.goto(served.url + at);
        await page
          .locator(there.startsWith('[') ? there : `text=${there}`)
          .first()
          .waitFor();
        assert.deepEqual(await findings(page), []);
        assert.ok((await sidewaysPx(page)) <= 0);
      }));
  }

  for (const [at, asked] of Object.entries(ASKS)) {
    test(`the page ${at} is drawn during its request, and shows an error with a way to try again`, () =>
      opened(async (page) => {
        const answer = Promise.withResolvers<void>();
        await page.route(asked, async (route) => {
          await answer.promise;
          await route.fulfill({
            status: 503,
            contentType: 'application/problem+json',
            body: JSON.stringify({ code: 'GODWIT_STORE', detail: 'the database does not answer' }),
          });
        });
        await page.goto(served.url + at);
        await page
          .getByText(/^Loading /)
          .first()
          .waitFor({ state: 'attached' });
        assert.deepEqual(await findings(page), []);
        answer.resolve();
        await page.getByText('The database does not answer.').first().waitFor();
        assert.deepEqual(await findings(page), []);
        await page.unroute(asked);
        await page.getByRole('button', { name: 'Try again' }).first().click();
        await page
          .getByText('The database does not answer.')
          .first()
          .waitFor({ state: 'detached' });
      }));
  }

  test('a page whose controller is gone reports it, with the time, and recovers by itself', () =>
    opened(async (page) => {
      const own = await serveMadeUp(pages, FLEET);
      await page.goto(own.url);
      await page.getByText('live', { exact: true }).waitFor();
      const port = Number(new URL(own.url).port);
      await own.close();
      await page.getByText('reconnecting').waitFor();
      assert.deepEqual(await findings(page), []);
      await page.getByText('No answer from the controller since').waitFor();
      assert.equal(await page.getByText('The controller does not answer').count(), 0);
      assert.deepEqual(await findings(page), []);
      assert.ok((await page.locator('.card').count()) > 0, 'what was known stays on the page');
      const back = await serveMadeUp(pages, { ...FLEET, port });
      try {
        await page.getByText('live', { exact: true }).waitFor();
      } finally {
        await back.close();
      }
    }));

  test('a table that is wider than a phone shows that it scrolls, as a prediction does', () =>
    opened(async (page) => {
      await page.setViewportSize({ width: 390, height: 900 });
      await page.goto(`${served.url}/migrations`);
      await page.getByText('Scroll sideways for all columns').waitFor();
      await page.goto(`${served.url}/requests/new?kind=migration&guest=${GUEST}`);
      await page.getByRole('button', { name: 'Measure again' }).waitFor();
      assert.equal(await page.locator('.prediction').count(), 1);
      assert.equal(await page.getByText('Predicted time').count(), 0);
      assert.ok((await sidewaysPx(page)) <= 0);
      assert.deepEqual(await findings(page), []);
      const before = await page.locator('.prediction').innerText();
      await page.getByRole('button', { name: 'Choose pre-copy over the wire path' }).click();
      await page.waitForURL(/path=wire/);
      await page.getByRole('button', { name: 'Choose pre-copy over the native path' }).waitFor();
      assert.notEqual(await page.locator('.prediction').innerText(), before);
    }));

  test('an action shows its result with a link, and closes it', () =>
    opened(async (page) => {
      await page.goto(`${served.url}/requests/new?kind=drain&hosts=node-00002`);
      await page.getByRole('button', { name: /^Begin/ }).click();
      const result = page.getByRole('status', { name: 'Results' });
      await result.getByText('Drain of node-00002 has begun.').waitFor();
      assert.equal(await result.getByRole('link').count(), 1);
      assert.deepEqual(await findings(page), []);
      await result.getByRole('button', { name: 'Close' }).click();
      await result.getByText('has begun').waitFor({ state: 'detached' });
    }));

  test('a host is selected and its drain started with the keyboard alone', () =>
    opened(async (page) => {
      await page.goto(served.url);
      await page.getByLabel('Pick node-00002').focus();
      await page.keyboard.press('Space');
      await page.getByRole('region', { name: 'Selected hosts' }).waitFor();
      assert.deepEqual(await findings(page), []);
      await page.getByRole('button', { name: 'Drain node-00002…' }).focus();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'The plan, if you confirm' }).waitFor();
      // A page that was opened takes the focus by itself, a moment after its heading is there.
      await page.waitForFunction("document.activeElement.tagName === 'MAIN'");
      await page.getByRole('button', { name: /^Begin/ }).focus();
      assert.equal(await page.evaluate('document.activeElement.tagName'), 'BUTTON');
    }));
});
