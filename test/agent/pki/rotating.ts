import type { TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { readAuthorities } from '../../../src/host/credentials.ts';
import { pkiDirOf } from '../../../src/host/fleet.ts';
import { changeList, withMember } from '../../../src/pki/fleet-list.ts';
import { until, untilSo } from '../../until.ts';
import { fleet, type TestHost } from '../samples.ts';

/** Looks follow each other at once. */
const clock = {
  wallMs: () => systemClock.wallMs(),
  monotonicMs: () => systemClock.monotonicMs(),
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 50), signal),
};

/** Three agents; a holds the CA, and its list names the others. */
export async function three(t: TestContext) {
  const made = await fleet(t);
  const a = await made.host('a', { holdsCa: true, clock });
  const peers = { a: { address: a.agent.address } };
  const [b, c] = [await made.host('b', { peers, clock }), await made.host('c', { peers, clock })];
  for (const { config, agent } of [b, c]) {
    const member = { name: config.name, address: agent.address, addresses: [] };
    changeList(made.caDir, withMember(member), Date.now());
  }
  const hosts = [a, b, c];
  await untilSo(async () => (await b.api.hosts()).hosts.length === 3);
  await untilSo(async () => (await c.api.hosts()).hosts.length === 3);
  return { ...made, a, b, c, hosts };
}

export const trustedBy = ({ config }: TestHost): string[] =>
  readAuthorities(pkiDirOf(config)).map(({ fingerprint }) => fingerprint);

/** A renewal that failed once, such as on a busy machine, is tried again after a minute. */
const ROTATED_MS = 150_000;

/** Resolves once `isSo`, in the time in which hosts follow a step of the rotation. */
export async function untilRotated(isSo: () => boolean | Promise<boolean>): Promise<void> {
  await until(String(isSo), ROTATED_MS, async () => ((await isSo()) ? true : undefined));
}
