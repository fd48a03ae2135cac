import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { VsphereDriver } from '../../../src/drivers/vsphere/driver.ts';
import { vsphereOptions } from '../../../src/drivers/vsphere/options.ts';
import { orderOf } from '../../../src/migration/managed/events.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';
import { untilSo } from '../../until.ts';
import { Vcsim } from './support/vcsim.ts';

const ASK_MS = 60_000;
const LONG_MS = 600_000;
const GUEST = 'DC0_C0_RP0_VM0';

let vcenter: Vcsim;
before(async () => {
  vcenter = await Vcsim.open();
  await vcenter.ask({ do: 'move', name: GUEST, value: 'DC0_C0_H0' });
});
after(async () => {
  await vcenter?.close();
});

const soon = (): AbortSignal => AbortSignal.timeout(ASK_MS);
const order = (id: string) =>
  orderOf({
    id,
    guest: GUEST,
    from: 'dc0-c0-h0',
    to: 'dc0-c0-h1',
    settings: migrationSettings.parse({}),
  });

async function handleOf(driver: VsphereDriver) {
  const options = { host: 'm', busy: new Set<string>(), configured: [], only: GUEST };
  const [found] = await driver.discover(options, soon());
  assert.ok(found?.handle);
  return found.handle;
}

test('a cancel never waits behind a wait for a change, even with one connection', async () => {
  await vcenter.tasks(LONG_MS);
  const driver = new VsphereDriver(vsphereOptions.parse({ ...vcenter.section, connections: 1 }));
  const session = await driver.openManaged(await handleOf(driver), soon());
  try {
    const wanted = order('m-cancel01');
    await session.start(wanted, soon());
    await session.look(wanted, soon());
    await vcenter.calls();
    // The wait is never answered: a call behind it would not be either.
    await vcenter.fault('silent', { method: 'WaitForUpdatesEx' });
    const over = new AbortController();
    const waiting = session.changed?.(wanted, AbortSignal.any([over.signal, soon()]));
    await untilSo(async () => (await vcenter.calls()).includes('WaitForUpdatesEx'));
    await session.cancel(wanted, soon());
    over.abort();
    await assert.rejects(waiting ?? Promise.resolve());
    assert.equal((await session.look(wanted, soon())).state, 'cancelled');
  } finally {
    await session.close();
    await driver.close();
    await vcenter.tasks(500);
  }
});

test('a look never waits behind a wait that the vCenter receives after its end', async () => {
  const driver = new VsphereDriver(vcenter.options);
  const over = new AbortController();
  try {
    await handleOf(driver);
    await vcenter.calls();
    await vcenter.fault('slow', { method: 'WaitForUpdatesEx', ms: 1000, times: 1 });
    const waiting = driver.changed(over.signal);
    waiting.catch(() => undefined);
    await untilSo(async () => (await vcenter.calls()).includes('WaitForUpdatesEx'));
    // The vCenter would answer that wait 11 s after it was asked.
    await driver.discover(
      { host: 'm', busy: new Set<string>(), configured: [] },
      AbortSignal.timeout(8000),
    );
  } finally {
    over.abort();
    await driver.close();
  }
});

test('each collector that was created at the vCenter is ended there', async () => {
  await vcenter.calls();
  const driver = new VsphereDriver(vcenter.options);
  const session = await driver.openManaged(await handleOf(driver), soon());
  const wanted = order('m-collect1');
  await session.check(wanted, soon());
  await session.start(wanted, soon());
  while ((await session.look(wanted, soon())).state === 'running')
    await session.changed?.(wanted, soon());
  await session.finish(wanted, soon());
  await session.close();
  await driver.close();
  const calls = await vcenter.calls();
  const count = (method: string): number => calls.filter((each) => each === method).length;
  assert.ok(count('CreatePropertyCollector') >= 3, calls.join(' '));
  assert.equal(count('DestroyPropertyCollector'), count('CreatePropertyCollector'));
});

test('a simulator whose test was killed leaves nothing behind', async () => {
  const module = new URL('support/vcsim.ts', import.meta.url).href;
  const code =
    'const { Vcsim } = await import(process.argv[1]); const made = await Vcsim.open(); console.log(made.dir);';
  const child = spawn(process.execPath, ['--input-type=module', '-e', code, module], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  const dir = said.toString().trim();
  assert.ok(existsSync(dir));
  child.kill('SIGKILL');
  await ended;
  await untilSo(() => !existsSync(dir));
});
