import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { AgentConfigInput } from '../../src/lab/agents.ts';
import { startGuest } from '../../src/lab/guest/start.ts';
import { hostAddress } from '../../src/lab/plan.ts';
import { runningOn } from '../../src/lab/witness/qemus.ts';
import { assertWrites } from './support/disks.ts';
import { FEW_PLACES } from './support/few-disk-slots.ts';
import { setUpTarget, startTarget } from './support/iscsi-target.ts';
import type { LabTarget } from './support/iscsi-target.ts';
import { askGuestQemu } from './support/monitors.ts';
import { assertSays, move, refusalOf, unlessForbidden } from './support/moves.ts';
import type { Move } from './support/moves.ts';
import { openWorld } from './support/world.ts';
import type { World } from './support/world.ts';

const MIB = 1024 ** 2;
const IQN = 'iqn.2026-01.lab:vm';
const GUEST = `iscsi1-${process.pid.toString(36)}`;

setUpTarget();

/** Hosts a and b reach one target, and c another one that calls itself and its LUNs the same, as copies do. */
describe('a guest on LUNs that its QEMU opens by itself', () => {
  let world: World;
  let target: LabTarget;
  let copy: LabTarget;
  let top: string;

  before(async () => {
    top = await mkdtemp(path.join(tmpdir(), 'godwit-iscsi-'));
    const portal = (host: string) => `${hostAddress('c')}:${host === 'c' ? 3261 : 3260}`;
    const configure = (host: string): Partial<AgentConfigInput> => ({
      storage: [
        { iscsi: `iscsi://${portal(host)}/${IQN}`, initiator: `iqn.2026-01.lab:host-${host}` },
      ],
    });
    world = await openWorld('iscsi', { hosts: 3, storage: 'local', configure });
    const files = async (kind: string, sizes: readonly number[]): Promise<string[]> => {
      const made = sizes.map((_, index) => path.join(top, `${kind}${index}.img`));
      for (const [index, file] of made.entries()) {
        await writeFile(file, randomBytes((sizes[index] ?? 0) * MIB));
      }
      return made;
    };
    target = await startTarget(world.lab, { host: 'c', port: 3260, dir: path.join(top, 'one') });
    await target.add(IQN, await files('lun', [64, 48]));
    copy = await startTarget(world.lab, { host: 'c', port: 3261, dir: path.join(top, 'two') });
    await copy.add(IQN, await files('copy', [64, 32]));
    const disk = (lun: number) => ({
      bytes: [64, 48][lun - 1]! * MIB,
      thin: false,
      device: `iscsi://${target.portal}/${IQN}/${lun}`,
    });
    const size = { memoryBytes: 192 * MIB, workingSetBytes: 8 * MIB };
    const words = { disks: [disk(1), disk(2)], kernelWords: FEW_PLACES };
    await startGuest(world.lab, { name: GUEST, host: 'a', ...size, ...words });
  });
  after(async () => {
    target?.freeze(false);
    await world?.close();
    if (top !== undefined) await rm(top, { recursive: true, force: true });
  });

  async function whole(host: string): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, GUEST), [host]);
    const reported = await askGuestQemu(world, GUEST, host, 'query-named-block-nodes', {
      flat: true,
    });
    const nodes = reported as { drv: string; active?: boolean }[];
    const clients = nodes.filter(({ drv }) => drv === 'iscsi');
    assert.equal(clients.length, 2);
    assert.ok(clients.every(({ active }) => active !== false));
    await assertWrites(world, GUEST);
  }

  async function moved(request: Partial<Move>): Promise<string[]> {
    const [from = ''] = await runningOn(world.lab, GUEST);
    const to = from === 'a' ? 'b' : 'a';
    const report = await move(world, { guest: GUEST, from, to, ...request });
    await whole(to);
    return report.checks.filter(({ name }) => name === 'disks').map((each) => each.evidence);
  }

  test('moves by pre-copy, there and back, and stays on its LUNs', async () => {
    await whole('a');
    const reported = await moved({});
    const shared = reported.filter((text) =>
      /see a LUN of the same target, ids and size/.test(text),
    );
    assert.equal(shared.length, 2, reported.join('\n'));
    await moved({});
  });

  test('moves by post-copy', async (t) => {
    await unlessForbidden(t, () => moved({ mode: 'postcopy' }));
  });

  test('is refused where LUNs that call themselves the same hold something else, or less', async () => {
    const [from = ''] = await runningOn(world.lab, GUEST);
    const error = await refusalOf(world, { guest: GUEST, from, to: 'c' });
    const said = ['the device of the same ids holds something else', 'is not copied'];
    assertSays(error, 'GODWIT_DISK_LOCAL', GUEST, ...said);
    await whole(from);
  });

  test('is refused in time while its target stands still, and runs on after that', async () => {
    const [from = ''] = await runningOn(world.lab, GUEST);
    target.freeze(true);
    const error = await refusalOf(world, { guest: GUEST, from, to: from === 'a' ? 'b' : 'a' });
    assertSays(error, 'GODWIT_DISK_LOCAL', GUEST, 'took longer than 5000 ms');
    target.freeze(false);
    await whole(from);
  });
});
