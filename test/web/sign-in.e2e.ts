import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { silentLog } from '../../src/log.ts';
import { buildWeb } from '../../tools/web.ts';
import { DASHBOARD, oidcProvider } from '../controller/oidc/provider.ts';
import { controllerOf } from '../controller/test-controller.ts';
import { authority, tempDir } from '../rpc/test-contract.ts';

const SETUP = path.resolve(import.meta.dirname, '../../tools/setup.sh');
const WAIT_MS = 30_000;

before(() => {
  execFileSync('bash', [SETUP, '--only', 'chromium'], { stdio: ['ignore', 2, 2] });
});

test('a user signs in with a provider, sees the wanted page, and signs out; a refused one sees the reason', async (t) => {
  const { caDir } = await authority(t);
  const provider = await oidcProvider(t, caDir);
  const pages = path.join(tempDir(t), 'web');
  buildWeb(pages);
  const web = { address: '127.0.0.1:0', url: DASHBOARD, oidc: provider.settings };
  const { controller } = await controllerOf(t, caDir, { web }, silentLog, pages);

  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      // Nothing but loopback is ever asked.
      `--host-resolver-rules=MAP ${new URL(DASHBOARD).host}:443 ${controller.web}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`,
    ],
  });
  t.after(() => browser.close());
  // What a page’s own policy keeps it from is a mistake of the page.
  const refused: string[] = [];
  const personAt = async (to: string) => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT_MS);
    page.on('console', (said) => {
      if (/content security policy|script-src/i.test(said.text())) refused.push(said.text());
    });
    await page.goto(`${DASHBOARD}${to}`);
    await page.getByRole('link', { name: 'Sign in with Test ID' }).click();
    return { page, context };
  };

  const { page: ann, context } = await personAt('/migrations?outcome=failed');
  await ann.getByLabel('Login').fill('ann');
  await ann.getByRole('button', { name: 'Continue' }).click();
  await ann.getByRole('heading', { name: 'Migrations' }).waitFor();
  assert.equal(ann.url(), `${DASHBOARD}/migrations?outcome=failed`);
  const cookies = await context.cookies(DASHBOARD);
  assert.deepEqual(
    cookies.map(({ name, httpOnly, secure, sameSite }) => [name, httpOnly, secure, sameSite]),
    [['__Host-godwit', true, true, 'Strict']],
  );
  await ann
    .getByText(/ann#[0-9a-f]{8} via Test ID/)
    .first()
    .waitFor();
  await ann.getByRole('button', { name: 'Sign out' }).click();
  await ann.getByRole('link', { name: 'Sign in with Test ID' }).waitFor();
  assert.deepEqual(await context.cookies(DASHBOARD), []);

  const { page: eve } = await personAt('/');
  await eve.getByLabel('Login').fill('eve');
  await eve.getByRole('button', { name: 'Continue' }).click();
  await eve.getByRole('heading', { name: 'Not signed in' }).waitFor();
  await eve.getByText(/eve#[0-9a-f]{8} via Test ID has no role here/).waitFor();
  await eve.getByRole('link', { name: 'Back to the sign-in page' }).click();
  await eve.getByLabel('Token', { exact: true }).waitFor();
  assert.deepEqual(refused, []);
});
