import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { rdmaDevices } from '../../../src/host/machine/rdma.ts';

test('an RDMA device counts if one of its ports is active', async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-rdma-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const port = (device: string, number: string, state: string): void => {
    const at = path.join(directory, device, 'ports', number);
    mkdirSync(at, { recursive: true });
    writeFileSync(path.join(at, 'state'), `${state}\n`);
  };
  port('mlx5_1', '1', '1: DOWN');
  port('mlx5_1', '2', '4: ACTIVE');
  port('mlx5_0', '1', '1: DOWN');
  port('rxe0', '1', '4: ACTIVE');
  assert.deepEqual(await rdmaDevices(directory), ['mlx5_1', 'rxe0']);
  assert.deepEqual(await rdmaDevices(path.join(directory, 'none')), []);
});
