import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { labDown } from '../../lab/down.ts';
import type { Lab } from '../../lab/state.ts';
import { labStatus } from '../../lab/status.ts';
import { labUp } from '../../lab/up.ts';
import { vcsimProgram } from '../drivers/vsphere/support/vcsim.ts';
import { until } from '../until.ts';

const GODWIT = fileURLToPath(new URL('../../godwit', import.meta.url));
const WAIT_MS = 120_000;

/** The lab as a user has it: `godwit lab up --with vsphere`. */
describe('a lab with a simulated vCenter', () => {
  const name = `e2e-vslab-${process.pid.toString(36)}`;
  let lab: Lab;

  before(async () => {
    await vcsimProgram();
    lab = await labUp({ name, hosts: 2, manager: 'vsphere' });
  });
  after(() => labDown(name));

  /** What it prints; an error where it fails. */
  async function godwit(...words: readonly string[]): Promise<string> {
    const { controller } = await labStatus(name);
    const env = { ...process.env, NO_COLOR: '1', GODWIT_CONTROLLER: controller?.socket };
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const child = execFile(GODWIT, words, { env, timeout: WAIT_MS }, (error, out, err) => {
      if (error === null) resolve(out);
      else reject(new Error(`godwit ${words.join(' ')}: ${out}${err}`));
    });
    child.stdin?.end();
    return promise;
  }

  async function hostOf(guest: string): Promise<string | undefined> {
    const said = await godwit('guests', '--manager', 'vc1', '--fresh', '--json');
    const { guests } = JSON.parse(said) as { guests: { name: string; host: string }[] };
    return guests.find(({ name }) => name === guest)?.host;
  }

  test('the guests of a lab are listed, checked and moved by the usual commands', async () => {
    assert.match(await godwit('manager', 'list'), /vc1 +vsphere +https:\/\/10\.77\.0\.11:8989/);
    const guest = 'DC0_C0_RP0_VM0';
    const from = await until('the guests of the vCenter', WAIT_MS, () => hostOf(guest));
    const to = from === 'dc0-c0-h1' ? 'dc0-c0-h2' : 'dc0-c0-h1';
    await godwit('migrate', guest, '--to', to, '--dry-run', '--manager', 'vc1');
    const moved = await godwit('migrate', guest, '--to', to, '--manager', 'vc1');
    assert.equal(await hostOf(guest), to, moved);
    const { hosts } = JSON.parse(await godwit('hosts', '--json')) as {
      hosts: { name: string; state: string }[];
    };
    const up = hosts.filter(({ state }) => state === 'up').map((each) => each.name);
    for (const each of ['a', 'b', 'dc0-c0-h0']) assert.ok(up.includes(each), up.join(' '));
  });

  test('a lab accepts faults by its pipe, and ended sessions are opened again', async () => {
    const own = path.join(lab.dir, 'vcenter');
    await writeFile(path.join(own, 'commands'), '{"do":"expire"}\n');
    await until('its answer', WAIT_MS, async () =>
      (await readFile(path.join(own, 'vcenter.log'), 'utf8')).includes('expire') ? true : undefined,
    );
    assert.ok(await hostOf('DC0_C0_RP0_VM1'));
  });

  test('a lab warns that a guest could not return to its host after a restart', async () => {
    const own = path.join(lab.dir, 'vcenter');
    const older = { do: 'host', name: 'DC0_C0_H0', key: 'config.featureCapability' };
    const value = 'cpuid.Intel,cpuid.AES,cpuid.AVX';
    await writeFile(path.join(own, 'commands'), `${JSON.stringify({ ...older, value })}\n`);
    const said = await until('the host to differ', WAIT_MS, async () => {
      const words = ['--to', 'dc0-c0-h1', '--dry-run', '--manager', 'vc1', '--json'];
      const out = await godwit('migrate', 'DC0_C0_RP0_VM1', ...words);
      return out.includes('moves no more to') ? out : undefined;
    });
    assert.match(said, /highest EVC mode that all its hosts can have is intel-sandybridge/);
    assert.match(
      said,
      /cpuid\.AVX2, cpuid\.AVX512F, cpuid\.RDSEED, and then moves no more to DC0_C0_H0/,
    );
    assert.match(said, /Give the cluster the EVC mode intel-sandybridge/);
  });

  test('a lab is already up when it is requested again, and gone with all its processes when it is down', async () => {
    assert.deepEqual(await labUp({ name, hosts: 2, manager: 'vsphere' }), lab);
    const pid = await simulatorOf(lab.dir);
    assert.ok(pid !== undefined);
    assert.equal(await labDown(name), true);
    assert.equal(existsSync(lab.dir), false);
    assert.equal(existsSync(`/proc/${pid}`), false, 'its vCenter has ended');
  });
});

/** The process that keeps its inventory in that lab. */
async function simulatorOf(dir: string): Promise<number | undefined> {
  for (const pid of (await readdir('/proc')).filter((each) => /^\d+$/.test(each))) {
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (words.includes(`--state\0${path.join(dir, 'vcenter')}`)) return Number(pid);
  }
  return undefined;
}
