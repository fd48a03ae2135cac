import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { isEnd, type Report } from '../../src/protocol/public/migration.ts';
import { Random } from '../../sim/random.ts';
import { until } from '../until.ts';
import { Vcsim, type CallFault } from '../drivers/vsphere/support/vcsim.ts';
import { AgentHost } from './support/agent-host.ts';

const FAULTED = 20;
const AT_ONCE = 7;
/** An order whose answer is lost counts as none a minute later. */
const VERDICT_MS = 180_000;
const HERE = 'dc0-c0-h0';
const THERE = 'dc0-c0-h1';

let vcenter: Vcsim;
let host: AgentHost;
let count = 0;

/** A guest of the simulated vCenter that no other test has, on its first host. */
async function nextGuest(): Promise<string> {
  const guest = `DC0_C0_RP0_VM${count}`;
  count += 1;
  await vcenter.ask({ do: 'move', name: guest, value: 'DC0_C0_H0' });
  return guest;
}

async function begin(guest: string): Promise<string> {
  const begun = await host.godwit('migrate', guest, '--to', THERE, '--detach', '--json');
  assert.equal(begun.exit, 0, begun.err);
  return (JSON.parse(begun.out) as { id: string }).id;
}

async function tasksOf(guest: string): Promise<number | undefined> {
  return (await vcenter.guests())[guest]?.tasks;
}

/** What the report says is where the guest is, and it was ordered once at most. */
async function assertTrue(found: Report): Promise<void> {
  const real = (await vcenter.guests())[found.guest];
  assert.ok(real !== undefined && real.tasks <= 1, JSON.stringify(real));
  const at = real.host === 'DC0_C0_H1' ? 'destination' : 'source';
  assert.equal(found.runsAt, at, JSON.stringify({ real, found }));
  assert.equal(found.outcome === 'done', at === 'destination', JSON.stringify(found));
  assert.equal(real.moving, false);
}

describe('guests of a vCenter', () => {
  before(async () => {
    vcenter = await Vcsim.open({ guests: 12 + FAULTED });
    // Its name is none of the vCenter's hosts: the agent sits beside none of them.
    host = await AgentHost.start('steers', { qemu: { programs: [] }, vsphere: vcenter.section });
  });

  after(async () => {
    await host?.close();
    await vcenter?.close();
  });

  test('guests are listed with their hosts, moved, watched and reported by the same commands as others', async () => {
    const guest = await nextGuest();
    const listed = await host.godwit('guests');
    assert.match(listed.out, new RegExp(`${guest} .*${HERE}`), listed.err);
    const checked = await host.godwit('migrate', guest, '--to', THERE, '--dry-run');
    assert.equal(checked.exit, 0, checked.out + checked.err);
    assert.match(checked.out, /VMware vCenter Server, API 6\.5/);
    const moved = await host.godwit('migrate', guest, '--to', THERE);
    assert.equal(moved.exit, 0, moved.err);
    assert.match(moved.out, new RegExp(`moved from ${HERE} to ${THERE} \\(by its manager, m-`));
    assert.match(moved.out, /not reported by its manager +bytes sent, rounds, throughput/);
    const id = /m-[0-9a-z]+/.exec(moved.out)?.[0] ?? '';
    assert.equal((await host.godwit('watch', id)).exit, 0);
    const found = await host.reportOf(id);
    await assertTrue(found);
    assert.equal(found.downtimeMs, undefined);
    const after = await host.godwit('guests');
    assert.equal(after.exit, 0, after.err);
    assert.match(after.out, new RegExp(`${guest} .*${THERE}`));
  });

  test('guests move to another datastore, with their host or on it, and an unknown one is refused', async () => {
    const guest = await nextGuest();
    const both = ['migrate', guest, '--to', THERE, '--datastore'] as const;
    const wrong = await host.godwit(...both, 'LocalDS_11');
    assert.equal(wrong.exit, 4, wrong.err + wrong.out);
    assert.match(wrong.err, /Did you mean LocalDS_1\?/);
    const moved = await host.godwit(...both, 'LocalDS_1');
    assert.equal(moved.exit, 0, moved.err + moved.out);
    const after = (await vcenter.guests())[guest];
    assert.deepEqual([after?.host, after?.datastore], ['DC0_C0_H1', 'LocalDS_1']);
    await vcenter.tasks(500, { type: 'NoDiskSpace', text: 'no space' });
    const failed = await host.godwit(...both, 'LocalDS_0');
    await vcenter.tasks(500);
    assert.equal(failed.exit, 5, failed.err + failed.out);
    const back = await host.godwit(...both, 'LocalDS_0');
    assert.equal(back.exit, 0, back.err + back.out);
    assert.equal((await vcenter.guests())[guest]?.datastore, 'LocalDS_0');
  });

  test('guests are moved with high priority on request, and only encrypted on request', async () => {
    const guest = await nextGuest();
    const wanted = ['migrate', guest, '--to', THERE, '--priority', 'high', '--encrypted'] as const;
    const open = await host.godwit(...wanted);
    assert.equal(open.exit, 4, open.err + open.out);
    assert.match(open.err, /its memory would go unencrypted/);
    assert.equal(await tasksOf(guest), 0);
    const key = 'config.migrateEncryption';
    await vcenter.ask({ do: 'guest', name: guest, key, value: 'opportunistic' });
    const oneCannot = await host.godwit(...wanted);
    assert.match(oneCannot.err, /a host cannot encrypt vMotion/);
    for (const name of ['DC0_C0_H0', 'DC0_C0_H1']) {
      const can = { key: 'capability.encryptedVMotionSupported', value: 'true' };
      await vcenter.ask({ do: 'host', name, ...can });
    }
    const moved = await host.godwit(...wanted);
    assert.equal(moved.exit, 0, moved.err + moved.out);
    const after = (await vcenter.guests())[guest];
    assert.deepEqual([after?.tasks, after?.priority], [1, 'highPriority']);
  });

  test("an unknown host is refused with the nearest name, and so is the guests' present host", async () => {
    const guest = await nextGuest();
    const wrong = await host.godwit('migrate', guest, '--to', 'dc0-c0-h11');
    assert.equal(wrong.exit, 3, wrong.err + wrong.out);
    assert.match(wrong.err + wrong.out, /Did you mean dc0-c0-h1\?/);
    const same = await host.godwit('migrate', guest, '--to', HERE);
    assert.notEqual(same.exit, 0);
    assert.equal(await tasksOf(guest), 0);
  });

  test('guests that vSphere would not move stay, and the check names feature and fix', async () => {
    const guest = await nextGuest();
    const type = 'CpuIncompatible1ECX';
    const fields = { Level: 1, RegisterName: 'ecx', Sse41: true };
    const faults = [{ type, fields, text: 'not compatible' }];
    // Of this one host alone.
    await vcenter.ask({ do: 'check', name: 'DC0_C0_H1', faults });
    const needs = { key: 'runtime.featureRequirement', value: 'cpuid.AES,cpuid.AVX512F' };
    await vcenter.ask({ do: 'guest', name: guest, ...needs });
    const has = { key: 'config.featureCapability', value: 'cpuid.Intel,cpuid.AES' };
    await vcenter.ask({ do: 'host', name: 'DC0_C0_H1', ...has });
    const checked = await host.godwit('migrate', guest, '--to', THERE, '--dry-run');
    const refused = await host.godwit('migrate', guest, '--to', THERE);
    await vcenter.ask({ do: 'check', faults: [] });
    assert.equal(checked.exit, 4, checked.err + checked.out);
    assert.match(checked.out, /processor[^]*sse41/);
    assert.match(checked.out, /DC0_C0_H1 lacks cpuid\.AVX512F/);
    assert.match(checked.out, /These hosts have all of them: DC0_C0_H0, DC0_C0_H2/);
    assert.match(checked.out, /vSphere would move the guest to DC0_C0_H2/);
    assert.equal(refused.exit, 4, refused.err + refused.out);
    assert.match(refused.err + refused.out, /sse41/);
    assert.match(refused.err + refused.out, /EVC/);
    assert.equal(await tasksOf(guest), 0);
  });

  test("guests stay at their host when a task fails half-way, with vSphere's message", async () => {
    const guest = await nextGuest();
    await vcenter.tasks(500, { type: 'GenericVmConfigFault', text: 'the vmotion network is down' });
    const moved = await host.godwit('migrate', guest, '--to', THERE, '--json');
    await vcenter.tasks(500);
    assert.equal(moved.exit, 5, moved.err);
    const found = JSON.parse(moved.out) as Report;
    assert.match(found.error?.message ?? '', /vmotion network is down/);
    await assertTrue(found);
  });

  test('guests are cancelled with their vCenter', async () => {
    const guest = await nextGuest();
    await vcenter.tasks(20_000);
    const id = await begin(guest);
    await host.inPhase(id, 'memory');
    await host.until(async () => (await host.progress(id)).percent > 0);
    const cancelled = await host.godwit('cancel', id);
    await vcenter.tasks(500);
    assert.match(cancelled.out, /its manager is asked to end the task/);
    const found = await host.ended(id);
    assert.equal(found.outcome, 'cancelled', JSON.stringify(found));
    await assertTrue(found);
  });

  test('guests are moved once if their mover dies, and if their vCenter does', async () => {
    const [one, other] = [await nextGuest(), await nextGuest()];
    await vcenter.tasks(3000);
    const [first, second] = [await begin(one), await begin(other)];
    await host.inPhase(first, 'memory');
    await host.inPhase(second, 'memory');
    assert.equal(host.killMover(first), true);
    await vcenter.down();
    await vcenter.up();
    for (const id of [first, second]) {
      const found = await host.ended(id);
      assert.equal(found.outcome, 'done', JSON.stringify(found));
      await assertTrue(found);
    }
  });

  test('guests are not listed with a wrong password, and the refusal names the thing to check', async () => {
    const guest = await nextGuest();
    writeFileSync(vcenter.passwordFile, 'wrong\n');
    await vcenter.ask({ do: 'expire' });
    const denied = await host.godwit('guests', '--fresh');
    writeFileSync(vcenter.passwordFile, 'secret\n');
    // The list of its host is incomplete, and says why.
    assert.equal(denied.exit, 8, denied.err + denied.out);
    assert.match(denied.err, /does not allow a login as godwit/);
    assert.equal(await tasksOf(guest), 0);
  });

  test('guests end with a true verdict, whatever happens to them at whatever time', async (context) => {
    const seed = 20_261_123;
    context.diagnostic(`seed ${seed}`);
    const random = new Random(seed);
    const outcomes = new Map<string, number>();
    await vcenter.tasks(1500);
    for (let from = 0; from < FAULTED; from += AT_ONCE) {
      const some = Math.min(AT_ONCE, FAULTED - from);
      const guests: string[] = [];
      for (let each = 0; each < some; each += 1) guests.push(await nextGuest());
      const ids: string[] = [];
      for (const guest of guests) ids.push(await begin(guest));
      for (let each = 0; each < some; each += 1) {
        await systemClock.sleep(random.next() * 400);
        await somethingHappens(random, ids);
      }
      for (const id of ids) {
        const found = await verdictOf(id);
        await assertTrue(found);
        outcomes.set(found.outcome, (outcomes.get(found.outcome) ?? 0) + 1);
      }
    }
    context.diagnostic(JSON.stringify(Object.fromEntries(outcomes)));
    assert.equal(outcomes.get('held'), undefined);
  });

  test('guests of a vCenter with another certificate than the pinned one are not asked about', async () => {
    await vcenter.ask({ do: 'certificate' });
    await vcenter.down();
    await vcenter.up();
    const refused = await host.godwit('guests', '--fresh');
    assert.equal(refused.exit, 8, refused.err + refused.out);
    assert.match(refused.err, /its certificate is not the one that was pinned/);
    assert.match(refused.err, /drivers\.vsphere\.fingerprint/);
  });
});

async function verdictOf(id: string): Promise<Report> {
  const isOver = async (): Promise<true | undefined> =>
    isEnd((await host.progress(id)).phase) ? true : undefined;
  await until(`the end of ${id}`, VERDICT_MS, isOver).catch(async (thrown: unknown) =>
    assert.fail(`${String(thrown)}: ${JSON.stringify(await host.reportOf(id))}`),
  );
  return host.reportOf(id);
}

const CALLS: readonly CallFault[] = ['cut', '503', 'garbage', 'unanswered'];

async function somethingHappens(random: Random, ids: readonly string[]): Promise<void> {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random.next() * all.length)] as T;
  const what = pick(['call', 'call', 'order', 'slow', 'expire', 'mover', 'restart']);
  switch (what) {
    case 'call':
      await vcenter.fault(pick(CALLS), { times: 1 + Math.floor(random.next() * 4) });
      return;
    case 'order':
      await vcenter.fault(pick(CALLS), { method: 'RelocateVM_Task' });
      return;
    case 'slow':
      await vcenter.fault('slow', { times: 3, ms: 700 });
      return;
    case 'expire':
      await vcenter.ask({ do: 'expire' });
      return;
    case 'mover':
      host.killMover(pick(ids));
      return;
    default:
      await vcenter.down();
      await vcenter.up();
  }
}
