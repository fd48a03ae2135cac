import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { writeDomain } from '../../../src/drivers/libvirt/client.ts';
import { measureDomain, rateIn } from '../../../src/drivers/libvirt/dirty-rate.ts';
import { LibvirtRefusal } from '../../../src/drivers/libvirt/rpc/connection.ts';
import { encodeParams, type Params } from '../../../src/drivers/libvirt/rpc/params.ts';
import { XdrReader, XdrWriter } from '../../../src/formats/xdr.ts';
import { sleptClock } from '../../mover/managed/samples.ts';

const MIB = 1024 ** 2;
const DOMAIN = { name: 'web1', uuid: '7b0d2f70-6a52-4f5e-9a3e-2c1f5b8e1001', id: 3 };
const { signal } = new AbortController();
/** By the numbers of libvirt's remote_protocol.x. */
const [STATS, START] = [344, 427];

const said = (status: number, seconds: number, rate: number): Params => ({
  'dirtyrate.calc_status': status,
  'dirtyrate.calc_start_time': 1,
  'dirtyrate.calc_period': seconds,
  'dirtyrate.megabytes_per_second': rate,
});

/** A daemon whose looks find these rates, each once it was asked twice. */
function daemon(rates: readonly number[], refusal?: number) {
  const asked: number[] = [];
  let seconds = 0;
  let looks = 0;
  const ask = async (procedure: number, body: XdrWriter): Promise<XdrReader> => {
    if (refusal !== undefined) {
      const words = { code: refusal, domain: 10, message: 'no such call', level: 2 };
      throw new LibvirtRefusal(words);
    }
    const read = new XdrReader(body.bytes());
    if (procedure === START) {
      read.take(writeDomain(DOMAIN).bytes().length);
      seconds = read.int32();
      assert.equal(read.uint32(), 0, 'a mode that slows the guest down');
      asked.push(seconds);
      looks = 0;
      return new XdrReader(Buffer.alloc(0));
    }
    assert.equal(procedure, STATS);
    looks += 1;
    const rate = rates[asked.length - 1] ?? 0;
    const answer = new XdrWriter().uint32(1).raw(writeDomain(DOMAIN).bytes());
    encodeParams(answer, looks < 2 ? said(1, seconds, 0) : said(2, seconds, rate));
    return new XdrReader(answer.bytes());
  };
  return { asked, client: { ask } };
}

const measured = (client: ReturnType<typeof daemon>['client'], memoryBytes: number) =>
  measureDomain(client, DOMAIN, memoryBytes, signal, sleptClock());

describe("libvirt's dirty rate", () => {
  test('the dirty rate is a curve over its windows, never more than all of memory', async () => {
    const rate = fc.integer({ min: 0, max: 5000 });
    await fc.assert(
      fc.asyncProperty(rate, rate, async (one, three) => {
        const { client, asked } = daemon([one, three]);
        const found = await measured(client, 1024 * MIB);
        assert.deepEqual(asked, [1, 3]);
        const least = (bytes: number): number => Math.min(1024 * MIB, bytes);
        assert.deepEqual(found, {
          how: 'hypervisor',
          memoryBytes: 1024 * MIB,
          pages: 0,
          curve: [
            { windowMs: 1000, dirtyBytes: least(one * MIB) },
            { windowMs: 3000, dirtyBytes: least(three * 3 * MIB) },
          ],
        });
      }),
    );
  });

  test('the dirty rate is unknown if libvirt refuses, and the reason is given', async () => {
    await assert.rejects(measured(daemon([], 3).client, MIB), {
      code: 'GODWIT_CAPABILITY',
      message: /to measure web1.*no such call.*since 7\.2/,
    });
    await assert.rejects(measured(daemon([], 55).client, MIB), {
      code: 'GODWIT_CAPABILITY',
      message: /to measure web1.*no such call(?!.*since)/,
    });
  });

  test('the dirty rate comes only from a look over the requested time', () => {
    assert.equal(rateIn(said(2, 3, 7), 3), 7);
    assert.equal(rateIn(said(2, 1, 7), 3), undefined);
    assert.equal(rateIn(said(1, 3, 7), 3), undefined);
    assert.equal(rateIn({}, 3), undefined);
  });
});
