/** A person’s whole way in Chromium, on a lab with a real guest: from signing in through a drain to its report. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { startFleetController, type FleetController } from '../../demo/fleet/controller.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { godwit } from '../e2e/support/cli.ts';
import { openWorld, type World } from '../e2e/support/world.ts';
import { findings, openBrowser, openPage } from './axe.ts';

const SETUP = path.resolve(import.meta.dirname, '../../tools/setup.sh');
const MIB = 1024 ** 2;
const WAIT_MS = 60_000;
const DRAIN_MS = 180_000;

describe('the dashboard of a lab', () => {
  let world: World;
  let controller: FleetController;
  let browser: Browser;

  before(async () => {
    execFileSync('bash', [SETUP, '--only', 'chromium'], { stdio: ['ignore', 2, 2] });
    world = await openWorld('face', { hosts: 2 });
    const memory = { memoryBytes: 192 * MIB, workingSetBytes: 8 * MIB };
    await startGuest(world.lab, { name: 'web1', host: 'a', ...memory });
    assert.equal((await godwit(world, 'label', 'web1', 'team=shop')).exit, 0);
    controller = await startFleetController(world.lab, new AbortController().signal);
    browser = await openBrowser();
  });
  after(async () => {
    await browser?.close();
    controller?.client.close();
    await world?.close();
  });

  test('the dashboard of a lab drains a host for a user who signs in, and shows the report of its move', async () => {
    const { page, errors } = await openPage(browser, WAIT_MS);
    const isClean = async (what: string): Promise<void> =>
      assert.deepEqual(await findings(page), [], what);

    await page.goto(controller.url);
    await page.getByLabel('Token', { exact: true }).fill(controller.token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('link', { name: 'web1: running' }).waitFor();
    await page.getByLabel('Pick a', { exact: true }).check();
    await page.getByRole('button', { name: 'Drain a…' }).click();
    await page.getByRole('heading', { name: 'The plan, if you confirm' }).waitFor();
    await page.getByRole('button', { name: 'Begin: drain of a' }).click();
    await page.getByRole('heading', { name: 'Moves' }).waitFor();
    await page.getByText('done', { exact: true }).first().waitFor({ timeout: DRAIN_MS });
    await isClean('a drain that is done');

    await page.getByRole('link', { name: /^m-/ }).click();
    const download = page.getByRole('button', { name: 'Download the report' });
    await download.waitFor();
    await isClean('the report of its move');
    await page.getByRole('heading', { name: /web1/ }).waitFor();
    const [file] = await Promise.all([page.waitForEvent('download'), download.click()]);
    assert.match(readFileSync(await file.path(), 'utf8'), /web1/);

    await page.goto(`${controller.url}/guests/web1`);
    await page.getByRole('heading', { name: 'Hosts of this guest, and reasons' }).waitFor();
    await page.getByRole('link', { name: 'what asked for it' }).waitFor();
    await page.getByText('team=shop').waitFor();
    await isClean('the story of the guest');

    await page.goto(`${controller.url}/hosts/a`);
    await page.getByRole('button', { name: 'End the drain' }).click();
    await page.getByRole('link', { name: 'Drain…' }).waitFor();
    assert.deepEqual(await runningOn(world.lab, 'web1'), ['b']);
    assert.equal((await verifyGuest(world.lab, 'web1')).ok, true);
    assert.deepEqual(errors, []);
    await page.context().close();
  });
});
