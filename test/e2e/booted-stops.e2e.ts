import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '../until.ts';
import {
  ADDRESS,
  lacksBooted,
  openBootedHost,
  UNIT,
  type BootedHost,
} from './support/booted-host.ts';

const AGAIN_MS = 240_000;

describe("a guest's host under systemd", { skip: lacksBooted() ?? false }, () => {
  let a: BootedHost;
  let guest: string;

  before(async () => {
    a = await openBootedHost();
    await a.does(`godwit init a --address ${ADDRESS} --storage /srv/images`);
    await a.does(`systemctl start ${UNIT}`);
    await a.startGuest('own1');
    guest = await a.processOf('own1');
    assert.match(guest, /^\/proc\/\d+$/);
  });
  after(() => a?.close());

  test('a guest survives a restart, a stop, a crash and a downgrade of the agent', async () => {
    await a.does(`systemctl restart ${UNIT}`);
    await a.does(`systemctl stop ${UNIT}`);
    assert.equal(await a.property('ActiveState'), 'inactive');
    assert.equal(await a.processOf('own1'), guest);
    await a.does(`systemctl start ${UNIT}`);
    await a.does(`systemctl kill --kill-whom=main --signal=KILL ${UNIT}`);
    await until('the agent to be started again', AGAIN_MS, async () => {
      return (await a.property('NRestarts')) === '1' || undefined;
    });
    await a.does('dpkg -i --force-downgrade /same.deb');
    assert.equal(await a.property('ActiveState'), 'active');
    assert.equal(await a.processOf('own1'), guest);
    assert.match(await a.does('godwit guests'), /^own1 +a /m);
  });

  test('a mistake in the configuration is reported at once, and the agent is not restarted for it', async () => {
    await a.does('cp /etc/godwit/agent.json /srv/ && echo "{" >/etc/godwit/agent.json');
    const reload = await a.run(`systemctl reload ${UNIT}`);
    assert.notEqual(reload.exit, 0);
    assert.equal(await a.property('ActiveState'), 'active');
    const { exit } = await a.run(`systemctl restart ${UNIT}`);
    assert.notEqual(exit, 0);
    assert.equal(await a.property('ActiveState'), 'failed');
    const said = await a.does(`journalctl -u ${UNIT} -n 20`);
    assert.match(said, /error: \/etc\/godwit\/agent\.json: is not JSON: line 2/);
    await a.does(`cp /srv/agent.json /etc/godwit/ && systemctl start ${UNIT}`);
    await a.does(`systemctl reload ${UNIT}`);
  });

  test('a purge of the package leaves the guest and nothing else', async () => {
    await a.does('dpkg --purge godwit');
    assert.equal(await a.processOf('own1'), guest);
    assert.equal(await a.property('LoadState'), 'not-found');
    assert.equal(await a.does('systemctl --failed --no-legend'), '');
    const left = await a.does('find / -xdev -name "*godwit*" -not -path "/proc/*"');
    assert.deepEqual(left.trim().split('\n').toSorted(), ['']);
  });
});
