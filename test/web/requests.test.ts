import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import {
  newRequest,
  requestAsk,
  type FleetRequest,
} from '../../src/protocol/controller/fleet-request.ts';
import {
  askForRequests,
  knownRequests,
  MAX_ENDED,
  newsOfRequest,
  requests,
} from '../../web/src/requests/requests.ts';

const ASK = requestAsk.parse({ kind: 'drain', hosts: ['a'] });
const UNTIL = new AbortController().signal;

const working = (id: string, nowMs: number): FleetRequest =>
  newRequest(id, ASK, { nowMs, by: 'ann' });
const done = (id: string, nowMs: number): FleetRequest => ({
  ...working(id, nowMs),
  phase: 'done',
});

/** A controller whose answers come when the test says so. */
function answers(t: TestContext): ((list: FleetRequest[]) => void)[] {
  requests.value = undefined;
  const waiting: ((list: FleetRequest[]) => void)[] = [];
  t.mock.method(
    globalThis,
    'fetch',
    () =>
      new Promise((resolve) => {
        waiting.push((list) => resolve(Response.json({ requests: list })));
      }),
  );
  return waiting;
}

const phases = () => knownRequests()?.map(({ id, phase }) => `${id} ${phase}`);

test('a request that ends during a list call is not shown as open by the older answer', async (t) => {
  const answer = answers(t);
  const asked = askForRequests(UNTIL);
  newsOfRequest(done('r-1', 1));
  newsOfRequest(working('r-2', 2));
  answer[0]?.([working('r-1', 1)]);
  await asked;
  assert.deepEqual(phases(), ['r-2 working', 'r-1 done']);
});

test('a late answer to the earlier of two questions takes nothing back', async (t) => {
  const answer = answers(t);
  const asked = [askForRequests(UNTIL), askForRequests(UNTIL)];
  answer[1]?.([working('r-1', 1)]);
  await asked[1];
  newsOfRequest(done('r-1', 1));
  answer[0]?.([working('r-1', 1)]);
  await asked[0];
  assert.deepEqual(phases(), ['r-1 done']);
});

test('the list keeps every open request and forgets the oldest of those that have ended', async (t) => {
  const answer = answers(t);
  const asked = askForRequests(UNTIL);
  answer[0]?.([working('r-0', 0)]);
  await asked;
  for (let at = 1; at <= MAX_ENDED + 2; at += 1) newsOfRequest(done(`r-${at}`, at));
  const known = phases() ?? [];
  assert.equal(known.length, MAX_ENDED + 1);
  assert.deepEqual(
    [known[0], known.at(-2), known.at(-1)],
    ['r-1002 done', 'r-3 done', 'r-0 working'],
  );
});
