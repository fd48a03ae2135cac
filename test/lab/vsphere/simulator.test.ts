import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulatorProgram, vsphereLacks } from '../../../lab/vsphere/simulator.ts';

test('a simulated vCenter that is not built is named, with the command that builds it', async () => {
  const lacking = await vsphereLacks('/nowhere/vcsim-0');
  assert.equal(lacking?.code, 'GODWIT_HOST_LACKS');
  assert.match(lacking.hint ?? '', /tools\/setup\.sh --only vcsim/);
});

test('a simulator that is built lacks nothing, and a package without its source names no program', async () => {
  assert.equal(await vsphereLacks(process.execPath), undefined);
  assert.equal(simulatorProgram('/nowhere'), undefined);
});

test('the program is named by its source, as setup names it', () => {
  assert.match(simulatorProgram() ?? '', /\/vcsim\/vcsim-[0-9a-f]{16}$/);
});
