import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { before, test } from 'node:test';
import { silentLog } from '../../src/log.ts';
import { buildWeb } from '../../tools/web.ts';
import { fleet, guest } from '../agent/samples.ts';
import { controllerOf } from '../controller/test-controller.ts';
import { tempDir } from '../rpc/test-contract.ts';
import { until } from '../until.ts';
import { findings, openBrowser, openPage } from './axe.ts';

const SETUP = path.resolve(import.meta.dirname, '../../tools/setup.sh');
const WAIT_MS = 30_000;

before(() => {
  execFileSync('bash', [SETUP, '--only', 'chromium'], { stdio: ['ignore', 2, 2] });
});

test('a user signs in, plans and cancels a drain, and follows a migration, without an axe-core finding', async (t) => {
  const { host, caDir } = await fleet(t);
  const b = await host('b');
  const peers = { b: { address: b.agent.address } };
  const unmovable = guest('web2', { unmovable: ['device usb0 is passed through'] });
  const a = await host('a', { guests: () => [guest('web1'), unmovable], peers });
  const away = { b: { address: '127.0.0.1:1' } };
  const c = await host('c', { guests: () => [guest('web3', { host: 'c' })], peers: away });
  const hosts = {
    a: { address: a.agent.address, addresses: [] },
    b: { address: b.agent.address, addresses: [] },
    c: { address: c.agent.address, addresses: [] },
  };
  const pages = path.join(tempDir(t), 'web');
  buildWeb(pages);
  const given = { hosts, web: { address: '127.0.0.1:0' } };
  const { api, controller } = await controllerOf(t, caDir, given, silentLog, pages);
  await until('the hosts to be followed', WAIT_MS, async () => {
    const { hosts: all } = await api.hosts();
    return all.length === 3 && all.every(({ state }) => state === 'up') ? true : undefined;
  });
  const { token } = await api.createToken({ body: { name: 'ann', role: 'operator' } });

  const browser = await openBrowser();
  t.after(() => browser.close());
  const { page, errors } = await openPage(browser, WAIT_MS);
  const isClean = async (what: string): Promise<void> =>
    assert.deepEqual(await findings(page), [], what);

  await page.goto(`https://${controller.web}/`);
  await page.getByLabel('Token', { exact: true }).fill('gdw_wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').waitFor();
  await isClean('a refused token');
  await page.getByLabel('Token', { exact: true }).fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();

  await page.getByRole('link', { name: 'web1: running' }).waitFor();
  await page.getByText('live', { exact: true }).waitFor();
  await isClean('the fleet as cards');
  await page.getByRole('button', { name: 'Table' }).click();
  await page.getByRole('table', { name: 'Hosts' }).waitFor();
  await isClean('the fleet as a table');

  await page.getByRole('link', { name: 'a', exact: true }).click();
  await page.getByRole('heading', { name: 'Facts' }).waitFor();
  await page.getByRole('link', { name: 'web2' }).waitFor();
  await isClean('a host');
  await page.getByRole('link', { name: 'web2' }).click();
  await page.getByText('device usb0 is passed through').waitFor();
  await isClean('a guest');

  await page.goto(`https://${controller.web}/requests/new?kind=migration&guest=web1`);
  await page.getByRole('button', { name: 'Measure again' }).waitFor();
  await isClean('the plan of a move with its modes');
  await page.goto(`https://${controller.web}/requests/new?kind=drain&hosts=a`);
  await page.getByRole('heading', { name: 'Guests that stay, and reasons' }).waitFor();
  await isClean('the plan of a drain');
  assert.deepEqual((await api.requests()).requests, []);
  await page.getByRole('button', { name: 'Begin: drain of a' }).click();
  await page.getByRole('button', { name: 'Cancel…' }).waitFor();
  await isClean('a drain');
  await page.getByRole('button', { name: 'Cancel…' }).click();
  await isClean('what cancelling does');
  await page.getByText('They are rolled back,').click();
  await page.getByRole('button', { name: 'Cancel it' }).click();
  await until('the drain to be cancelled', WAIT_MS, async () => {
    const { requests } = await api.requests();
    return requests[0]?.phase === 'cancelled' ? true : undefined;
  });
  await page.getByText('cancelled', { exact: true }).first().waitFor();
  await page.getByRole('link', { name: 'Migrations' }).click();
  await page.getByRole('heading', { name: 'Migrations' }).waitFor();
  await isClean('migrations');

  await page.getByRole('link', { name: 'Proposals' }).click();
  await page.getByRole('heading', { name: /^Balance/ }).waitFor();
  await page.getByText('No proposal is open.').waitFor();
  await isClean('proposals');
  await page.getByRole('link', { name: 'Migrations' }).click();

  // Begun by a person at the agent: the controller hears of it, and the page without being loaded again.
  const { id } = await c.api.migrate({ body: { guest: 'web3', to: 'b' } });
  await page.getByRole('link', { name: 'web3', exact: true }).click();
  await page.getByRole('progressbar', { name: 'Progress of the migration' }).waitFor();
  assert.equal(new URL(page.url()).pathname, `/migrations/${id}`);
  await page.getByRole('heading', { name: 'Decisions' }).waitFor();
  await isClean('a migration that is open');
  await page.getByRole('button', { name: 'Cancel…' }).click();
  await page.getByText('The guest keeps running at c').waitFor();
  await isClean('what cancelling a migration does');
  await page.getByRole('button', { name: 'Roll it back' }).click();
  await page.getByRole('button', { name: 'Download the report' }).waitFor();
  await page.getByText('cancelled', { exact: true }).waitFor();
  await isClean('a migration that has ended');
  await page.getByRole('link', { name: 'Insight' }).click();
  await page.getByRole('heading', { name: /^\d+ migrations?$/ }).waitFor();
  await page.getByLabel('History of the guest').fill('web3');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.getByRole('heading', { name: 'Hosts of this guest, and reasons' }).waitFor();
  await isClean('insight');

  // Only an admin is offered the audit log, and answered.
  assert.equal(await page.getByRole('link', { name: 'Audit log' }).count(), 0);
  await page.goto(`https://${controller.web}/audit`);
  await page.getByText('GODWIT_ROLE_FORBIDDEN').waitFor();
  const admin = await api.createToken({ body: { name: 'bob', role: 'admin' } });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Token', { exact: true }).fill(admin.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: 'Audit log' }).click();
  const entries = page.getByRole('group', { name: 'Entries' });
  await entries
    .getByRole('row')
    .filter({ hasText: 'cancelRequest' })
    .filter({ hasText: 'ann' })
    .waitFor();
  await entries
    .getByRole('row')
    .filter({ hasText: 'signIn' })
    .getByText('GODWIT_TOKEN_REFUSED')
    .waitFor();
  await isClean('the audit log');
  await page.getByLabel('Full name of the requester').fill('nobody');
  await page.keyboard.press('Enter');
  await page.getByText('No entry matches.').waitFor();
  assert.deepEqual(errors, []);
});
