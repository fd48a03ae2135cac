import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { accessSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { issue, storeCredentials } from '../../../src/pki/authority.ts';
import { authority, tempDir } from '../../rpc/test-contract.ts';

const HOST = fileURLToPath(new URL('hung-host.ts', import.meta.url));
/** A file system whose server answers nothing, in a mount namespace of its own: descriptor 9 is that server’s. */
const HUNG =
  'exec 9<>/dev/fuse && mount -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 hung "$1" && shift && exec "$@"';
const reported = z.object({ works: z.boolean(), codes: z.array(z.string()) });

const canHang = (() => {
  try {
    accessSync('/dev/fuse');
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
})();

test(
  'hanging storage occupies no thread of an agent that other hosts ask',
  { skip: canHang ? false : 'no /dev/fuse here, or not root' },
  async (t) => {
    const { caDir } = await authority(t);
    const root = tempDir(t);
    const stateDir = path.join(root, 'state');
    const storage = path.join(root, 'images');
    mkdirSync(storage);
    storeCredentials(
      path.join(stateDir, 'pki'),
      await issue({ caDir, name: 'b', role: 'agent', addresses: ['127.0.0.1'] }),
    );
    const file = path.join(root, 'agent.json');
    const config = { name: 'b', address: '127.0.0.1:7001', stateDir, storage: [{ path: storage }] };
    writeFileSync(file, JSON.stringify(config));
    const ask = (where: string): Promise<z.infer<typeof reported>> =>
      new Promise((resolve, reject) => {
        const command = [process.execPath, HOST, file, where];
        const argv = ['-m', '--propagation', 'private', 'sh', '-c', HUNG, 'sh', storage];
        // The control ends with threads that hang, once its namespace is gone with it.
        execFile('unshare', [...argv, ...command], { timeout: 40_000 }, (error, out) => {
          const line = out.trim();
          if (line === '') reject(error ?? new Error('it said nothing'));
          else resolve(reported.parse(JSON.parse(line)));
        });
      });
    const [apart, here] = await Promise.all([ask('apart'), ask('here')]);
    assert.deepEqual(new Set(apart.codes), new Set(['GODWIT_DEADLINE']));
    assert.equal(apart.works, true);
    // Without processes of their own the questions take every thread: what the test sees is no accident.
    assert.equal(here.works, false);
  },
);
