import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { Vcsim } from '../drivers/vsphere/support/vcsim.ts';
import { AgentHost } from './support/agent-host.ts';
import { Responder } from './support/responder.ts';

const [PROBED, SILENT, UNKNOWN] = ['DC0_C0_RP0_VM0', 'DC0_C0_RP0_VM1', 'DC0_C0_RP0_VM2'];
let vcenter: Vcsim;
let host: AgentHost;
/** Answers at the address of the first guest. */
let responder: Responder;

before(async () => {
  vcenter = await Vcsim.open({ guests: 3 });
  responder = await Responder.open();
  const nobody = responder.address.replace(/2$/, '3');
  const addresses = { [PROBED]: [responder.address], [SILENT]: [nobody] };
  const drivers = { qemu: { programs: [] }, vsphere: vcenter.section };
  host = await AgentHost.start('steers', drivers, { network: { probe: { addresses } } });
});

after(async () => {
  await host?.close();
  await vcenter?.close();
  await responder?.close();
});

async function begin(guest: string): Promise<string> {
  await vcenter.ask({ do: 'move', name: guest, value: 'DC0_C0_H0' });
  const begun = await host.godwit('migrate', guest, '--to', 'dc0-c0-h1', '--detach', '--json');
  assert.equal(begun.exit, 0, begun.err);
  return (JSON.parse(begun.out) as { id: string }).id;
}

test("the report of a vCenter's guest has the gap that a client saw, by its agent's probes, or the reason without it", async () => {
  // Long enough for a busy machine to see them under way.
  await vcenter.tasks(10_000);
  const others = [await begin(SILENT), await begin(UNKNOWN)];
  const id = await begin(PROBED);
  await host.inPhase(id, 'memory');
  // What is cut is the guest's own link, as a switch that has not learnt its new place.
  await responder.link('down');
  await systemClock.sleep(600);
  await responder.link('up');
  const [seen, dark, unnamed] = await Promise.all([id, ...others].map((each) => host.ended(each)));
  assert.equal(seen?.outcome, 'done');
  const [vantage] = seen.vantages ?? [];
  assert.deepEqual([vantage?.host, vantage?.kind, vantage?.isOpen], ['steers', 'icmp', false]);
  assert.ok((vantage?.gapMs ?? 0) >= 600 && (vantage?.gapMs ?? 0) < 8000, `${vantage?.gapMs}`);
  assert.equal(vantage?.switchGapMs, undefined);
  const reached = seen.verified?.find(({ name }) => name === 'reached');
  assert.equal(reached?.evidence, `it answers steers (icmp to ${responder.address})`);
  assert.match((await host.godwit('report', id)).out, /longest gap seen by probes/);
  assert.match(
    dark?.vantages?.[0]?.notTried ?? '',
    /^not reached by probes: ICMP: no answer; TCP: /,
  );
  assert.match(unnamed?.vantages?.[0]?.notTried ?? '', /^no address of the guest is known/);
});

test('a move whose mover was killed has no gap in its report, and the report gives the reason', async () => {
  await vcenter.tasks(5000);
  const id = await begin(PROBED);
  await host.inPhase(id, 'memory');
  assert.equal(host.killMover(id), true);
  const found = await host.ended(id);
  assert.equal(found.outcome, 'done');
  const [vantage] = found.vantages ?? [];
  assert.match(vantage?.notTried ?? '', /^another mover began the migration, and what it saw/);
  assert.equal(vantage?.gapMs, undefined);
  assert.match((await host.godwit('report', id)).out, /another mover began the migration/);
});
