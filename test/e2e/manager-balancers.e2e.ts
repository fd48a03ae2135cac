import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { planAnswer } from '../../src/protocol/public/plan.ts';
import {
  add,
  agent,
  close,
  godwit,
  inState,
  open,
  untilSoOrSaid,
  vcenter,
} from './support/vcenter-controller.ts';

const GUEST = 'DC0_C0_RP0_VM0';
const sets = (does: 'drs' | 'dpm', value: string, key?: string): Promise<unknown> =>
  vcenter.ask({ do: does, name: 'DC0_C0', value, ...(key === undefined ? {} : { key }) });

async function dryRun(kind: 'balance' | 'consolidate'): Promise<string> {
  const looked = await godwit('policy', kind, '--dry-run');
  assert.equal(looked.exit, 0, looked.out + looked.err);
  return looked.out;
}

const untilSaid = (kind: 'balance' | 'consolidate', words: RegExp): Promise<void> =>
  untilSoOrSaid(async () => words.test(await dryRun(kind)));

async function checked(): Promise<string> {
  const { host } = (await vcenter.guests())[GUEST] ?? assert.fail();
  const to = host === 'DC0_C0_H0' ? 'dc0-c0-h1' : 'dc0-c0-h0';
  const { out, err } = await agent('migrate', GUEST, '--to', to, '--dry-run', '--json');
  const { host: planned } = planAnswer.parse(JSON.parse(out));
  const found = planned.checks.find(({ name }) => name === 'balancer');
  return found?.evidence ?? assert.fail(out + err);
}

describe('a vCenter cluster that balances itself', () => {
  before(async () => {
    await open();
    const added = await add('vc1');
    assert.equal(added.exit, 0, added.out + added.err);
    await inState('vc1', 'up');
  });
  after(close);

  test('the cluster causes no remark while its DRS and its DPM only advise', async () => {
    await sets('drs', 'manual');
    await sets('dpm', 'manual');
    await untilSoOrSaid(async () => /DPM of DC0_C0 is manual/.test(await checked()));
    assert.doesNotMatch(await dryRun('consolidate'), /DPM/);
    assert.doesNotMatch(await dryRun('balance'), /DRS/);
  });

  test('the cluster is not consolidated a second time under DPM, and balance still works', async () => {
    await sets('dpm', 'automated');
    await untilSaid(
      'consolidate',
      /DPM of DC0_C0 puts hosts to sleep and wakes them by itself, and the guests of dc0-c0-h0, dc0-c0-h1, dc0-c0-h2 are left to it/,
    );
    assert.doesNotMatch(await dryRun('balance'), /DPM/);
    assert.match(await checked(), /DRS of DC0_C0 is manual; DPM of DC0_C0 puts hosts to sleep/);
  });

  test('the cluster is not balanced a second time under DRS', async () => {
    await sets('dpm', 'off');
    await sets('drs', 'fullyAutomated');
    await untilSaid(
      'balance',
      /DRS of DC0_C0 moves guests by itself, and the guests of dc0-c0-h0, dc0-c0-h1, dc0-c0-h2 are left to it/,
    );
    assert.match(await checked(), /may move DC0_C0_RP0_VM0 on from there; DPM of DC0_C0 is off/);
  });

  test('the cluster is left alone because of one host that DPM handles by itself', async () => {
    await sets('drs', 'manual');
    await sets('dpm', 'manual');
    await sets('dpm', 'automated', 'DC0_C0_H1');
    await untilSaid('consolidate', /DPM of DC0_C0 puts hosts to sleep/);
  });
});
