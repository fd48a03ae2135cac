import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { checkAdmitted } from '../../../../src/mover/direct/destination/admitted.ts';
import type { Admission, Preparation } from '../../../../src/protocol/peer/migration.ts';

const MAC = '52:54:00:00:00:01';
const ADMISSION: Admission = {
  id: 'm-00000001',
  guest: 'web1',
  from: 'c',
  memoryBytes: 2 ** 30,
  vcpus: 2,
  macs: [MAC],
  epoch: 1,
  timeoutMs: 60_000,
};
const DESCRIPTION: Preparation['description'] = {
  driver: 'qemu',
  name: 'web1',
  memoryBytes: 2 ** 30,
  vcpus: 2,
  hypervisorVersion: '10.0.2',
  spec: {},
};
const NICS = [{ id: 'n0', mac: MAC.toUpperCase(), bridge: 'br0' }];

const said = (
  change: Partial<Preparation['description']>,
  more: {
    admission?: Partial<Admission>;
    nics?: typeof NICS;
    networks?: object[];
    stream?: Partial<Preparation['stream']>;
    unencryptedMemory?: string[];
  } = {},
): string => {
  const preparation = {
    epoch: 1,
    description: { ...DESCRIPTION, ...change },
    stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true, ...more.stream },
    ...(more.networks === undefined ? {} : { networks: more.networks }),
  } as Preparation;
  const admission = { ...ADMISSION, ...more.admission };
  try {
    const { unencryptedMemory = [] } = more;
    checkAdmitted({ name: 'b', unencryptedMemory }, admission, preparation, more.nics ?? NICS);
    return '';
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'GODWIT_DESCRIPTION_REFUSED');
    return (error as Error).message;
  }
};

describe('admission of a guest', () => {
  test('a guest is built only if it is the admitted one', () => {
    assert.equal(said({}), '');
    assert.equal(said({ memoryBytes: 2 ** 29 }), '');
  });

  test('a guest arrives unencrypted only from an allowed host', () => {
    const stream = { tls: false, transport: 'zero-copy' } as const;
    assert.equal(said({}, { stream, unencryptedMemory: ['a', 'c'] }), '');
    assert.equal(
      said({}, { stream, unencryptedMemory: ['a'] }),
      'b rejects stream of web1 from c: memory that is not encrypted: allowed is TLS',
    );
  });

  test('a guest is refused by the part that differs, with the sender and the allowed value', () => {
    assert.equal(
      said({ name: 'web2' }),
      'b rejects name of web1 from c: web2: allowed is the guest that was admitted',
    );
    assert.match(
      said({ memoryBytes: 2 ** 30 + 1 }),
      /memoryBytes of web1 from c: 1073741825: allow/,
    );
    assert.match(said({ vcpus: 64 }), /vcpus of web1 from c: 64: allowed are the 2 admitted/);
    const two = [...NICS, { id: 'n1', mac: '52:54:00:00:00:02', bridge: 'br0' }];
    assert.match(
      said({}, { nics: two }),
      /nics of web1 from c: .*:02: allowed are 52:54:00:00:00:01/,
    );
    assert.match(said({}, { nics: [] }), /nics of web1 from c: none: allowed are/);
  });

  test('a guest has no network for a NIC that it lacks', () => {
    const attachment = { kind: 'routed', routes: ['10.0.0.9/32'] };
    const admission = { routes: attachment.routes };
    assert.equal(said({}, { networks: [{ id: 'n0', mac: MAC, attachment }], admission }), '');
    assert.match(said({}, { networks: [{ id: 'n9', mac: MAC, attachment }] }), /networks of web1/);
    const other = '52:54:00:00:00:09';
    assert.match(
      said({}, { networks: [{ id: 'n0', mac: other, attachment }] }),
      /networks of web1/,
    );
  });

  test('a guest has no route that its source did not declare at its admission', () => {
    const address = fc.integer({ min: 1, max: 6 }).map((last) => `10.0.0.${last}/32`);
    const some = fc.uniqueArray(address, { maxLength: 5 });
    fc.assert(
      fc.property(some, some, some, fc.boolean(), (admitted, one, other, isOld) => {
        const of = (routes: string[]) => ({
          id: 'n0',
          mac: MAC,
          attachment: { kind: 'routed', routes },
        });
        const admission = isOld ? {} : { routes: admitted };
        const words = said({}, { admission, networks: [of(one), of(other)] });
        const more = [...one, ...other].filter((each) => isOld || !admitted.includes(each));
        if (more.length === 0) assert.equal(words, '');
        else assert.match(words, /^b rejects networks of web1 from c: the routes 10\./);
        for (const each of more) assert.ok(words.includes(each));
      }),
    );
  });

  test('a guest of an older source is compared with the facts of its admission', () => {
    const { vcpus: _vcpus, macs: _macs, ...older } = ADMISSION;
    const admission = { ...older, vcpus: undefined, macs: undefined } as unknown as Admission;
    assert.equal(said({ vcpus: 7 }, { admission }), '');
    assert.match(said({ name: 'web2' }, { admission }), /name of web1/);
  });
});
