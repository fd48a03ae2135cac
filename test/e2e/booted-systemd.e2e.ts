import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { isFiltered, lacksOf } from '../../src/drivers/criu/host/privileges.ts';
import { until } from '../until.ts';
import {
  ADDRESS,
  findGuest,
  lacksBooted,
  openBootedHost,
  UNIT,
  type BootedHost,
} from './support/booted-host.ts';
import {
  startAgentOf,
  startPlainGuest,
  untilKnown,
  type CleanHost,
} from './support/clean-hosts.ts';

/** As slow as that its memory is on its way for longer than an upgrade takes. */
const RATE = '6mbit';
const MOVE_MS = 240_000;

const FILLED_KIB = 180 * 1024;
const ENDED = new Set(['done', 'failed', 'cancelled', 'refused', 'lost']);

const summary = z.object({ phase: z.string(), takeovers: z.number().optional() });

describe('the unit under a running systemd', { skip: lacksBooted() ?? false }, () => {
  let a: BootedHost;
  let b: CleanHost;

  before(async () => {
    a = await openBootedHost();
    b = a.beside;
    await b.does('dpkg -i /godwit.deb');
    await b.does(`godwit init b --address ${b.address} --storage /srv/images`);
    await startAgentOf(b);
  });
  after(() => a?.close());

  test('the unit is enabled, and waits without an error for the host to be set up', async () => {
    assert.equal(await a.does(`systemctl is-enabled ${UNIT}`), 'enabled\n');
    await a.does(`systemctl start ${UNIT}`);
    assert.equal(await a.property('ActiveState'), 'inactive');
    assert.equal(await a.does('systemctl --failed --no-legend'), '');
  });

  test('the unit has started once the first command finds the agent', async () => {
    const said = await b.does(`godwit invite a --addresses ${ADDRESS}`);
    const token = /^gwj1\/.+$/m.exec(said)?.[0] ?? '';
    await a.does(`godwit join - <<'END'\n${token}\nEND`);
    assert.match(await a.does(`systemctl start ${UNIT} && godwit hosts`), /^a \* .*up/m);
    await untilKnown(b, 'a');
  });

  test("the unit is no more exposed than documented, by systemd's own assessment", async () => {
    await a.does(`systemd-analyze security --threshold=65 --no-pager ${UNIT}`);
  });

  test('the unit is upgraded while a guest arrives, which lives outside of it', async () => {
    await startPlainGuest(b, 'web1');
    // Before its kernel runs, it has next to nothing to send.
    await until('the guest to have filled memory', MOVE_MS, async () => {
      const text = await b.does(`grep VmRSS $(${findGuest('web1')})/status`);
      return Number(/\d+/.exec(text)?.[0]) >= FILLED_KIB || undefined;
    });
    const begun = await b.does(
      `godwit migrate web1 --to a --max-bandwidth ${RATE} --max-downtime 5s --detach`,
    );
    const id = /m-[0-9a-z]+/.exec(begun)?.[0] ?? '';
    const look = async () => summary.parse(JSON.parse(await b.does(`godwit report ${id} --json`)));
    await until('memory to be on its way', MOVE_MS, async () => {
      const { phase } = await look();
      assert.ok(!ENDED.has(phase), await b.does(`godwit report ${id}`));
      return phase === 'memory' || undefined;
    });
    const agent = await a.property('MainPID');
    await a.does('dpkg -i /next.deb');
    assert.notEqual(await a.property('MainPID'), agent);
    assert.equal((await look()).phase, 'memory', 'the upgrade was over before the migration');
    assert.match(await a.does('readlink /proc/[0-9]*/exe | sort | uniq'), /builds\/0{16}\//);
    const { exit, out } = await b.run(`godwit watch ${id}`);
    assert.equal(exit, 0, out);
    assert.deepEqual(await look(), { phase: 'done', takeovers: 0 });
    assert.match(await a.does(`cat ${await a.processOf('web1')}/cgroup`), /^0::\/godwit\/web1\./);
  });

  test("the unit takes privileges for containers from the agent, and the containers' drop-in restores them", async () => {
    const rights = (): Promise<string> =>
      a.does(`grep -E '^(CapEff|Seccomp):' /proc/$(systemctl show -P MainPID ${UNIT})/status`);
    const before = await rights();
    assert.deepEqual(lacksOf(before), ['CAP_SYS_CHROOT', 'CAP_SYS_ADMIN', 'CAP_MKNOD']);
    assert.ok(isFiltered(before), before);
    const dir = `/etc/systemd/system/${UNIT}.service.d`;
    await a.does(`install -D -m 644 -t ${dir} /usr/lib/godwit/containers.conf`);
    await a.does(`systemctl daemon-reload && systemctl restart ${UNIT}`);
    const given = await rights();
    assert.deepEqual(lacksOf(given), []);
    assert.ok(!isFiltered(given), given);
    // It is gone with the next start.
    await a.does(`rm -r ${dir} && systemctl daemon-reload`);
  });
});
