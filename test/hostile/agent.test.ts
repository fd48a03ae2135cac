import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { Attacker } from '../../hostile/attacker.ts';
import type { Tried } from '../../hostile/attacker.ts';
import { kindOf } from '../../hostile/cases/plan.ts';
import { agentContract } from '../../src/protocol/contract.ts';
import { storeCredentials } from '../../src/agent/pki/authority.ts';
import { fleet, guest } from '../agent/parties.ts';
import { tempDir } from '../rpc/parties.ts';
import { factsOf } from './facts.ts';

const SEED = 7;
const CASES = 400;

test('an agent refuses in words whatever a host with a valid certificate says to it', async (t) => {
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
  const tried: Tried[] = [];
  for (let number = 0; number < CASES; number += 1) {
    if (kindOf(SEED, number) === 'agent') tried.push(await attacker.try(number));
  }
  await attacker.close();
  const problems = tried.flatMap((one) =>
    one.problems.map((what) => `case ${one.case.number}: ${what}`),
  );
  assert.deepEqual(problems, []);
  // A case that no handler ever sees would try nothing but the schemas.
  const heard = new Set(tried.flatMap(heardOf));
  assert.deepEqual(
    Object.keys(agentContract).filter((key) => !heard.has(key)),
    [],
  );
  assert.deepEqual(await other.incoming({ params: { id: foreign.id } }).then(Object.keys), [
    'moverAddress',
    'version',
  ]);
});

/** Routes that took what was sent for a message. */
function heardOf({ case: { asks }, answers }: Tried): string[] {
  const unheard = ['GODWIT_PROTOCOL_INVALID', 'GODWIT_ROUTE_UNKNOWN', 'GODWIT_PROTOCOL_VERSION'];
  return asks.flatMap(({ route }, index) =>
    unheard.includes(answers[index] ?? '') ? [] : [route],
  );
}
