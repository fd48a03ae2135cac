import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError, hasCode } from '../../../../../src/errors.ts';
import type { Fence, FenceFacts, Fencing } from '../../../../../src/host/fencing.ts';
import { silentLog } from '../../../../../src/log.ts';
import {
  initialSource,
  type SourceEvent,
} from '../../../../../src/migration/direct/source/source-state.ts';
import { proveOff } from '../../../../../src/mover/direct/source/guest/permission.ts';
import { recoverOrProve } from '../../../../../src/mover/direct/source/stream/recover.ts';
import type { StepContext } from '../../../../../src/mover/direct/source/ports.ts';
import { planned } from '../../../../migration/direct/samples.ts';

const NOW = { bootId: 'boot-1', uptimeMs: 100_000 };

const OFF: Fencing = { off: true, by: 'power is off' };
const MAYBE_ON: Fencing = { off: false, why: 'the power supply does not answer' };
const LIMIT_MS = 60_000;
const lost = godwitError('GODWIT_HYPERVISOR_LOST', {
  guest: 'web1',
  side: 'source',
  reason: 'it has ended',
});

/** A source that asks for the proof; `known`: what it has learned of the destination. */
function asking(fence: Fence | undefined, known: object = {}) {
  const recorded: SourceEvent[] = [];
  const { state } = initialSource(planned());
  const record = async (event: SourceEvent): Promise<void> => void recorded.push(event);
  const peer = { name: 'b', address: '10.0.0.2:7443', addresses: ['10.1.0.2:7443'] };
  const prove = (signal: AbortSignal = new AbortController().signal) =>
    proveOff(
      { request: { peer }, state: () => ({ ...state, known }), record },
      { fence, log: silentLog, bootTime: () => NOW },
      signal,
    );
  return { prove, recorded };
}

describe('a proof that the destination is off', () => {
  test('a proof that the destination is off is requested once, with every address of that host', async () => {
    const asked: [string, FenceFacts][] = [];
    const fence: Fence = async (host, facts) => {
      asked.push([host, facts]);
      return MAYBE_ON;
    };
    const known = { moverAddress: '10.0.0.2:49152', memoryAddress: '10.2.0.2:49153' };
    await asking(fence, known).prove();
    const [first] = asked;
    assert.equal(asked.length, 1);
    assert.deepEqual(first, [
      'b',
      {
        id: 'm-00000001',
        guest: 'web1',
        side: 'destination',
        addresses: ['10.0.0.2:7443', '10.1.0.2:7443', '10.0.0.2:49152', '10.2.0.2:49153'],
      },
    ]);
  });

  test('a proof is recorded before any caller gets it, and only if the host is off', async () => {
    const proved = asking(async () => OFF);
    assert.deepEqual(await proved.prove(), OFF);
    assert.deepEqual(proved.recorded, [{ type: 'fenced', host: 'b', by: 'power is off', ...NOW }]);
    const unknown = asking(async () => MAYBE_ON);
    assert.deepEqual(await unknown.prove(), MAYBE_ON);
    assert.deepEqual(unknown.recorded, []);
  });

  test('a proof that no caller waits for any more is discarded, and not recorded', async () => {
    const over = new AbortController();
    const { prove, recorded } = asking(async () => {
      over.abort(new Error('cancelled'));
      return OFF;
    });
    assert.deepEqual(await prove(over.signal), { off: false, why: 'nobody waited for the proof' });
    assert.deepEqual(recorded, []);
  });

  test('a proof is impossible if this host has no means for it', async () => {
    const { prove, recorded } = asking(undefined);
    assert.equal(await prove(), undefined);
    assert.deepEqual(recorded, []);
  });
});

describe('a post-copy stall', () => {
  /** `stream`: what the hypervisor here says of it, if it says anything; `fencing`: what the proof comes to. */
  function standing(fencing: Fencing | undefined, stream?: string) {
    const over = new AbortController();
    const asked: string[] = [];
    const context: unknown = {
      hypervisor: {
        capabilities: { postcopyRecovery: true },
        session: async () => {
          if (stream === undefined) throw lost;
          const sample = async () => ({ transferredBytes: 0, remainingBytes: 0 });
          return { sample, status: async () => ({ run: 'paused', stream }) };
        },
      },
      host: {
        fence: async () => {
          asked.push('fence');
          return fencing;
        },
      },
    };
    const recover = (): Promise<void> =>
      recoverOrProve(context as StepContext, LIMIT_MS, silentLog, over.signal);
    return { recover, asked, over };
  }

  test('a post-copy stall asks for no proof if the stream comes back', async () => {
    const { recover, asked } = standing(OFF, 'completed');
    await recover();
    assert.deepEqual(asked, []);
  });

  test('a post-copy stall needs no recovery at a destination that is proved off', async () => {
    const { recover, asked } = standing(OFF);
    await recover();
    assert.deepEqual(asked, ['fence']);
  });

  test('a post-copy stall without a proof keeps its error, and reports why there is no proof', async () => {
    for (const fencing of [MAYBE_ON, undefined]) {
      await assert.rejects(standing(fencing).recover(), (error) => {
        assert.ok(hasCode(error, 'GODWIT_HYPERVISOR_LOST'), String(error));
        assert.equal(error.message.includes('power supply'), fencing !== undefined);
        return true;
      });
    }
  });

  test('a post-copy stall asks for no proof once it was given up', async () => {
    const { recover, asked, over } = standing(OFF);
    over.abort(new Error('cancelled'));
    await assert.rejects(recover());
    assert.deepEqual(asked, []);
  });
});
