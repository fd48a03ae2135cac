import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentContract } from '../../src/protocol/contract.ts';
import { hasCode } from '../../src/errors.ts';
import { fleet } from './samples.ts';

/** All that a certificate of a controller opens at an agent. What is not here it may not do. */
const RIGHTS = {
  // What is for anyone.
  anyone: ['hello', 'health', 'openapi', 'join'],
  // It reads what a viewer reads.
  reads:
    'host hosts managedHosts occupancy guests guest guestLoad maintenanceMode hostEvents processors baseline trust caRotation cache leftovers standbys migrations migration progress events report resolution diskMoves diskMoveEvents diskMoveResolution'.split(
      ' ',
    ),
  // It gives orders in somebody’s name: a migration is checked, planned, started and cancelled; what is kept of a guest for
  // the death of its host is kept, and such a guest is started.
  orders: [
    'check',
    'plan',
    'putMigration',
    'cancel',
    'putStandby',
    'putRecovery',
    'closeHost',
    'openHost',
  ],
  // It passes on what an operator decides about one guest.
  passedOn: ['labelGuest', 'moveDisk', 'cancelDiskMove'],
  // It learns who belongs to the fleet and which CAs count, and renews its own certificate.
  fleet: ['newerList', 'authorities', 'renew'],
};

test("a controller's certificate opens the listed routes and no other", async (t) => {
  const { host, as } = await fleet(t);
  const a = await host('a');
  const controller = await as('control', 'controller', a);
  const allowed: string[] = [];
  for (const key of Object.keys(agentContract) as (keyof typeof agentContract)[]) {
    const call = controller[key] as (input: object) => unknown;
    // No input that a route takes: who may call it at all is told this.
    const input = { params: {}, query: { limit: 'x', after: '?' }, body: {} };
    const answer = async () => {
      const given = call(input);
      if (!agentContract[key].stream) return given;
      for await (const each of given as AsyncIterable<unknown>) return each;
      return undefined;
    };
    const thrown = await answer().then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!hasCode(thrown, 'GODWIT_ROLE_FORBIDDEN')) allowed.push(key);
  }
  assert.deepEqual(allowed.toSorted(), Object.values(RIGHTS).flat().toSorted());
});

test("a controller's certificate is not an agent's and does not admit its holder as a host", async (t) => {
  const { host, as } = await fleet(t);
  const a = await host('a');
  const controller = await as('control', 'controller', a);
  await assert.rejects(
    controller.incoming({ params: { id: 'm-00000000' } }),
    (thrown) =>
      hasCode(thrown, 'GODWIT_ROLE_FORBIDDEN') && /the role agent$|agent/.test(thrown.message),
  );
});
