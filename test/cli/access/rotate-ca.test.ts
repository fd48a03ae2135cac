import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { runCommandLine } from '../../../src/cli/frame.ts';
import { TABLE } from '../../../src/cli/table.ts';
import { rotationOf } from '../../../src/pki/rotation.ts';
import type { CaRotation, RotationMember } from '../../../src/protocol/public/rotation.ts';
import { authority } from '../../rpc/test-contract.ts';
import { endpoint, FakeContext } from '../fake.ts';

/** A CA, and an agent that reports these members of it. */
async function scene(t: TestContext) {
  const { caDir } = await authority(t);
  const old = rotationOf(caDir).fingerprint;
  const answer = { members: [] as RotationMember[], fails: false };
  const caRotation = async (): Promise<CaRotation> => {
    if (answer.fails) throw new Error('the agent is away');
    const { stage, fingerprint: issuing, authorities } = rotationOf(caDir);
    const { members } = answer;
    return { stage, issuing, authorities: authorities.map((each) => each.fingerprint), members };
  };
  const godwit = async (...words: string[]) => {
    const context = new FakeContext(endpoint('a', { caRotation }));
    const args = ['pki', 'rotate-ca', ...words, '--dir', caDir];
    const code = await runCommandLine(args, TABLE, context);
    return { code, out: context.out.text, err: context.err.text };
  };
  return { caDir, old, answer, godwit };
}

test('each step names the next one, and a member that would be cut off is named before it', async (t) => {
  const { caDir, old, answer, godwit } = await scene(t);
  answer.members = [{ name: 'b', role: 'agent', trusts: [old], issuer: old }];
  const started = await godwit('start');
  assert.equal(started.code, 0, started.err);
  assert.match(started.out, /The old one still issues[\s\S]*godwit pki rotate-ca switch/);
  const next = rotationOf(caDir).authorities[1]?.fingerprint ?? '';
  const early = await godwit('switch');
  assert.equal(early.code, 5);
  assert.match(
    early.err,
    /cut off 1 of the members: b \(agent\): it does not trust the new CA yet/,
  );
  assert.equal(rotationOf(caDir).fingerprint, old);
  const shown = await godwit();
  assert.match(shown.out, /b\s+agent\s+1 of 2\s+of the CA that issues\s+it does not trust/);
  assert.match(shown.out, /1 are missing/);
  answer.members = [{ name: 'b', role: 'agent', trusts: [old, next], issuer: old }];
  assert.match((await godwit()).out, /Next: godwit pki rotate-ca switch/);
  assert.equal((await godwit('switch')).code, 0);
  assert.equal(rotationOf(caDir).fingerprint, next);
  const late = await godwit('finish');
  assert.match(late.err, /b \(agent\): its certificate is of the old CA/);
  answer.members = [
    { name: 'b', role: 'agent', trusts: [next, old], issuer: next, earlierMigrations: 1 },
  ];
  assert.match((await godwit('finish')).err, /b \(agent\): 1 of its migrations began with earlier/);
  answer.members = [{ name: 'b', role: 'agent', trusts: [next, old], issuer: next }];
  const finished = await godwit('finish', '--json');
  assert.deepEqual(JSON.parse(finished.out), { stage: 'idle', issuing: next, authorities: [next] });
});

test('without an answer of the agent a step is taken only by --yes-i-know', async (t) => {
  const { caDir, old, answer, godwit } = await scene(t);
  await godwit('start');
  answer.fails = true;
  const refused = await godwit('switch');
  assert.notEqual(refused.code, 0);
  assert.equal(rotationOf(caDir).fingerprint, old);
  const forced = await godwit('switch', '--yes-i-know');
  assert.equal(forced.code, 0);
  assert.match(forced.err, /Members could not be asked/);
  assert.notEqual(rotationOf(caDir).fingerprint, old);
});

test('a forced step names whom it cuts off', async (t) => {
  const { old, answer, godwit } = await scene(t);
  await godwit('start');
  answer.members = [{ name: 'ann', role: 'operator', trusts: [old], issuer: old }];
  const { code, err } = await godwit('switch', '--yes-i-know');
  assert.equal(code, 0);
  assert.match(err, /cut off: ann \(operator\): it does not trust the new CA yet/);
});

test('a step that is none, or comes too early, is refused with the right one', async (t) => {
  const { godwit } = await scene(t);
  assert.match((await godwit('begin')).err, /begin is not a step: start, switch, finish or cancel/);
  for (const step of ['switch', 'finish', 'cancel']) {
    const { code, err } = await godwit(step);
    assert.equal(code, 5);
    assert.match(err, /godwit pki rotate-ca start/);
  }
});
