import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, test } from 'node:test';
import { hasCode } from '../../../../src/errors.ts';
import {
  initialSource,
  type StepFacts,
} from '../../../../src/migration/direct/source/source-state.ts';
import type { StepContext } from '../../../../src/mover/direct/source/ports.ts';
import { LIFECYCLE } from '../../../../src/mover/direct/source/lifecycle.ts';
import type { MigrationSettings } from '../../../../src/protocol/public/migration.ts';
import { planned } from '../../../migration/direct/samples.ts';

const MIB = 1024 ** 2;

/** Of a guest that writes so much in a second at each look; `undefined`: the look comes to nothing. */
function waited(
  settings: Partial<MigrationSettings>,
  dirtyBytes: number | undefined,
  { measures = true, pid }: { readonly measures?: boolean; readonly pid?: number } = {},
): Promise<StepFacts> {
  const measure = async () => {
    if (dirtyBytes === undefined) throw new Error('it is measured for somebody else');
    return { memoryBytes: 1024 * MIB, curve: [{ windowMs: 1000, dirtyBytes }] };
  };
  const session = { handle: { driver: 'fake' }, ...(measures ? { measure } : {}) };
  const context: unknown = {
    state: () => initialSource(planned(settings)).state,
    request: { createdAt: new Date().toISOString(), request: { guest: 'web1' } },
    host: { config: { stateDir: '/nonexistent' } },
    hypervisor: {
      session: async () => session,
      countedBy: pid === undefined ? undefined : { pid, ports: [] },
    },
  };
  return LIFECYCLE.wait.do(context as StepContext, new AbortController().signal);
}

describe('waits before a migration', () => {
  const whenQuiet = { withinMs: 1000 };

  test('a wait for a time that has passed is over at once', async () => {
    const { beganAtMs, waited: why } = await waited({ notBefore: new Date(0).toISOString() }, 0);
    assert.ok(beganAtMs !== undefined && why === undefined);
  });

  test('a wait for a quiet moment is over at once for a guest that writes nothing', async () => {
    assert.match((await waited({ whenQuiet }, 0)).waited ?? '', /is quiet/);
  });

  test('a wait for a quiet moment ends at its limit, whether the guest is busy or unmeasurable', async () => {
    assert.match((await waited({ whenQuiet }, 40 * MIB)).waited ?? '', /no quiet moment/);
    assert.match((await waited({ whenQuiet }, undefined)).waited ?? '', /could not be measured/);
  });

  test("a quiet moment is one of little activity if the guest's writes cannot be measured", async (t) => {
    const idle = spawn('sleep', ['60']);
    t.after(() => idle.kill());
    assert.ok(idle.pid !== undefined);
    const { waited: why } = await waited({ whenQuiet }, undefined, { pid: idle.pid });
    assert.match(why ?? '', /quiet by its load/);
  });

  test('a wait for a quiet moment is refused by name if the driver cannot measure', async () => {
    const refused = waited({ whenQuiet }, 0, { measures: false });
    await assert.rejects(refused, (thrown) => hasCode(thrown, 'GODWIT_CAPABILITY'));
  });
});
