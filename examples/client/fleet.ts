/**
 * Says how a fleet stands, and what a drain of a host would do. It changes nothing.
 *
 *   GODWIT_URL=https://control:7445 GODWIT_TOKEN_FILE=~/token GODWIT_CA=ca.crt node fleet.ts [HOST]
 *
 * Without HOST a viewer's token is enough; a plan of a drain needs an operator's.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, GodwitError, type ControllerClient } from 'godwit/client';

const { GODWIT_URL = '', GODWIT_TOKEN_FILE = '', GODWIT_CA } = process.env;

async function sayHosts({ api }: ControllerClient): Promise<void> {
  let cursor: string | undefined;
  do {
    const page = await api.hosts({ query: cursor === undefined ? {} : { cursor } });
    for (const { name, state, guests } of page.hosts) console.log(`${name}: ${state}, ${guests}`);
    cursor = page.next;
  } while (cursor !== undefined);
}

async function sayDrain({ api }: ControllerClient, host: string): Promise<void> {
  const { plan } = await api.putRequest({
    params: { id: `r-${randomBytes(8).toString('hex')}` },
    query: { dryRun: 'true' },
    body: { kind: 'drain', hosts: [host] },
  });
  for (const { guest, to } of plan.steps) console.log(`${guest} would go to ${to}`);
  for (const { guest, words } of plan.stays) console.log(`${guest} would stay: ${words}`);
  console.log(`done after ${Math.round(plan.seconds)} s, by prediction`);
}

try {
  const fleet = connect({
    url: GODWIT_URL,
    token: readFileSync(GODWIT_TOKEN_FILE, 'utf8').trim(),
    ...(GODWIT_CA === undefined ? {} : { ca: readFileSync(GODWIT_CA, 'utf8') }),
  });
  const [, , host] = process.argv;
  try {
    await (host === undefined ? sayHosts(fleet) : sayDrain(fleet, host));
  } finally {
    fleet.close();
  }
} catch (thrown) {
  if (!(thrown instanceof GodwitError)) throw thrown;
  console.error(`${thrown.code}: ${thrown.message}\n${thrown.hint}`);
  process.exitCode = thrown.exit;
}
