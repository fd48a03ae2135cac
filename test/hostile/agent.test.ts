import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Attacker, type CaseResult } from '../../hostile/attacker.ts';
import { kindOf } from '../../hostile/cases/plan.ts';
import { agentContract } from '../../src/protocol/contract.ts';
import { storeCredentials } from '../../src/pki/authority.ts';
import { fleet, guest } from '../agent/samples.ts';
import { tempDir } from '../rpc/test-contract.ts';
import { factsOf } from './facts.ts';

const SEED = 8;
const CASES = 400;
/** So many where the first ones left routes out. */
const MAX_CASES = 1600;
/** In the second half of the cases; what is learned of routes and peers once is learned in the first. */
const MAX_KEPT_BYTES = 6 * 1024 ** 2;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Of this process: the agent is in it, and so is the attacker. */
function heldBytes(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test('an agent refuses in words any input of a host with a valid certificate', async (t) => {
  const { host, as, certificate } = await fleet(t);
  const peers = { b: { address: '127.0.0.1:1' }, c: { address: '127.0.0.1:2' } };
  const guests = () => [guest('calm1'), guest('moved1')];
  const a = await host('a', { peers, guests, holdsCa: true });
  const pkiDir = path.join(tempDir(t), 'pki');
  storeCredentials(pkiDir, await certificate('c', 'agent'));
  const other = await as('b', 'agent', a);
  const foreign = factsOf().foreign;
  await other.admit({
    body: {
      id: foreign.id,
      guest: foreign.guest,
      from: 'b',
      memoryBytes: 1024,
      epoch: foreign.epoch,
      timeoutMs: 1000,
    },
  });
  const target = { name: 'a', address: a.agent.address };
  const attacker = new Attacker(factsOf({ pkiDir, target }), SEED);
  const problems: string[] = [];
  const heard = new Set<string>();
  let [heldBefore, held] = [0, 0];
  for (let number = 0; number < CASES; number += 1) {
    if (number === CASES / 2) heldBefore = heldBytes();
    if (kindOf(SEED, number) !== 'agent') continue;
    // What was sent is as large as it likes, and not kept.
    const one = await attacker.try(number);
    for (const what of one.problems) problems.push(`case ${one.case.number}: ${what}`);
    for (const route of heardOf(one)) heard.add(route);
  }
  held = heldBytes();
  // Which routes the first cases hit changes with every field of the contract; some more find what they left out.
  const unheard = (): string[] => Object.keys(agentContract).filter((key) => !heard.has(key));
  for (let number = CASES; unheard().length > 0 && number < MAX_CASES; number += 1) {
    if (kindOf(SEED, number) !== 'agent') continue;
    const one = await attacker.try(number);
    for (const what of one.problems) problems.push(`case ${one.case.number}: ${what}`);
    for (const route of heardOf(one)) heard.add(route);
  }
  await attacker.close();
  assert.deepEqual(problems, []);
  // What lives on once all garbage is gone: it would grow with each case of which the agent keeps something.
  assert.ok(held - heldBefore < MAX_KEPT_BYTES, `${heldBefore} bytes, then ${held}`);
  // A case that no handler ever sees would try nothing but the schemas.
  assert.deepEqual(unheard(), []);
  assert.deepEqual(await other.incoming({ params: { id: foreign.id } }).then(Object.keys), [
    'moverAddress',
    'version',
  ]);
});

/** Routes that took what was sent for a message. */
function heardOf({ case: { asks }, answers }: CaseResult): string[] {
  const unheard = ['GODWIT_PROTOCOL_INVALID', 'GODWIT_ROUTE_UNKNOWN', 'GODWIT_PROTOCOL_VERSION'];
  return asks.flatMap(({ route }, index) =>
    unheard.includes(answers[index] ?? '') ? [] : [route],
  );
}
