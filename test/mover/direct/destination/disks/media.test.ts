import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { parseAgentConfig } from '../../../../../src/config.ts';
import type { DestinationSession } from '../../../../../src/port/direct.ts';
import { REPLACED } from '../../../../../src/migration/image-identity.ts';
import { changeMedia } from '../../../../../src/mover/direct/destination/disks/media.ts';
import { openPlaceIds } from '../../../../../src/mover/direct/destination/disks/place-ids.ts';
import type { MediaChange } from '../../../../../src/protocol/peer/migration.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';

const signal = new AbortController().signal;
const ISO = Buffer.alloc(4096, 7);
const sum = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
const ADMISSION = {
  id: 'm-aaaaaaaa',
  guest: 'web1',
  from: 'a',
  memoryBytes: 1,
  epoch: 1,
  timeoutMs: 1,
};

function change(more: Partial<MediaChange> = {}): MediaChange {
  const image = { node: 'cd0-image', format: 'raw' as const, bytes: ISO.length, readOnly: true };
  return {
    epoch: 1,
    description: {
      driver: 'qemu',
      name: 'web1',
      memoryBytes: 1,
      vcpus: 1,
      hypervisorVersion: '10.0',
      disks: [{ name: 'cd0', images: [image] }],
      spec: {},
    },
    stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
    drives: ['cd0'],
    bases: [],
    ...more,
  };
}

function place(t: TestContext, mayChange = true) {
  const root = path.join(tempDir(t), 'pool');
  mkdirSync(root);
  writeFileSync(path.join(root, 'tools.iso'), ISO);
  const stateDir = path.dirname(root);
  const text = JSON.stringify({
    name: 'b',
    address: '10.0.0.2:7443',
    stateDir,
    storage: [{ path: root }],
  });
  const config = parseAgentConfig('agent.json', text);
  const changed: { drives: readonly string[]; files: [string, string][] }[] = [];
  const session: unknown = {
    nics: () => [],
    disks: {
      images: {
        identify: async (file: string) => {
          const { size: bytes } = await stat(file);
          return { bytes, sha256: sum(await readFile(file)) };
        },
      },
    },
    ...(mayChange
      ? {
          changeMedia: async (
            _description: unknown,
            drives: readonly string[],
            files: ReadonlyMap<string, string>,
          ) => void changed.push({ drives, files: [...files] }),
        }
      : {}),
  };
  const placeIds = openPlaceIds(stateDir);
  return { root, changed, session: session as DestinationSession, context: { config, placeIds } };
}

describe('a changed medium', () => {
  const here = {
    node: 'cd0-image',
    pool: '0123456789abcdef',
    path: 'tools.iso',
    bytes: ISO.length,
  };
  const state = { admission: ADMISSION };

  test('a changed medium is the local file with the same contents', async (t) => {
    const { context, session, changed, root } = place(t);
    const asked = change({ bases: [{ ...here, sha256: sum(ISO) }] });
    await changeMedia(context, session, state, asked, signal);
    const file = path.join(root, 'tools.iso');
    assert.deepEqual(changed, [{ drives: ['cd0'], files: [['cd0-image', file]] }]);
  });

  test('a changed medium is refused if no file here has its contents, or no proof covers its place', async (t) => {
    const { context, session, changed } = place(t);
    const other = change({ bases: [{ ...here, sha256: sum(Buffer.alloc(1)) }] });
    await assert.rejects(changeMedia(context, session, state, other, signal), {
      code: 'GODWIT_DISK_MISSING',
      message: /no file there holds the same/,
    });
    const { bytes: _, ...unproved } = here;
    await assert.rejects(
      changeMedia(context, session, state, change({ places: [unproved] }), signal),
      { code: 'GODWIT_DISK_MISSING', message: /no proof of shared storage/ },
    );
    assert.deepEqual(changed, []);
  });

  test('a changed medium is refused if another file was at its path when the hypervisor opened it', async (t) => {
    const { context, session } = place(t);
    const image = { node: 'cd0-image', device: 'cd0-image', file: 'tools.iso' };
    const opened = () =>
      Promise.resolve({ identities: new Map(), strange: [{ image, reason: REPLACED }] });
    const asked = change({ bases: [{ ...here, sha256: sum(ISO) }] });
    await assert.rejects(changeMedia(context, { ...session, opened }, state, asked, signal), {
      code: 'GODWIT_DISK_REPLACED',
      message: /not the file that its hypervisor has opened/,
    });
  });

  test('a changed medium is refused for a guest that was not admitted, and by a driver without media', async (t) => {
    const { context, session } = place(t);
    const { description } = change();
    const other = change({ description: { ...description, name: 'payroll' } });
    await assert.rejects(changeMedia(context, session, state, other, signal), {
      code: 'GODWIT_DESCRIPTION_REFUSED',
    });
    const without = place(t, false);
    await assert.rejects(changeMedia(without.context, without.session, state, change(), signal), {
      code: 'GODWIT_HOST_LACKS',
    });
  });
});
