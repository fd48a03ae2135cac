import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { buildArgv } from '../../../../src/drivers/qemu/spec/argv.ts';
import { parseCommandLine } from '../../../../src/drivers/qemu/spec/cmdline.ts';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import { judgeDescription, guestSpec } from '../../../../src/drivers/qemu/spec/grammar/judge.ts';
import { type GuestSpec } from '../../../../src/drivers/qemu/spec/schema.ts';
import { TPM_KDFS, TPM_MODES } from '../../../../src/drivers/qemu/spec/tpm-schema.ts';
import {
  readSwtpm,
  swtpmSocket,
  tpmBackend,
  type TpmFacts,
} from '../../../../src/drivers/qemu/spec/tpm.ts';
import { swtpmCommand } from '../../../../src/drivers/qemu/tpm/start.ts';
import { commandLine, factsOf } from './facts.ts';

const PLAIN: TpmFacts = { version: '2.0' };
const LIBVIRT =
  '-chardev socket,id=chrtpm,path=/run/libvirt/qemu/swtpm/1-web1-swtpm.sock -tpmdev emulator,id=tpm-tpm0,chardev=chrtpm ' +
  '-device {"driver":"tpm-crb","tpmdev":"tpm-tpm0","id":"tpm0"}';
const PROXMOX =
  '-chardev socket,id=tpmchar,path=/var/run/qemu-server/100.swtpm -tpmdev emulator,id=tpmdev,chardev=tpmchar -device tpm-tis,tpmdev=tpmdev';

const draftOf = (words: string, tpm: TpmFacts | undefined = PLAIN) =>
  describeGuest(factsOf(commandLine(`-M q35 -nodefaults ${words}`), { tpm }));
const reasons = (words: string, tpm?: TpmFacts): string[] =>
  draftOf(words, tpm).findings.map(({ device, reason }) => `${device}: ${reason}`);

describe('a TPM served by another program', () => {
  for (const [who, words, id, chardev] of [
    ['libvirt', LIBVIRT, 'tpm-tpm0', 'chrtpm'],
    ['Proxmox VE', PROXMOX, 'tpmdev', 'tpmchar'],
  ] as const) {
    test(`a TPM is described as ${who} starts it, and created again on a socket of Godwit's`, () => {
      const { spec, findings } = draftOf(words);
      assert.deepEqual(findings, []);
      assert.deepEqual(spec.tpm, { id, chardev, version: '2.0' });
      assert.deepEqual(spec.chardevs, []);
      assert.deepEqual(guestSpec.parse(spec), spec);
      const argv = buildArgv(spec, {
        guest: 'web1',
        guestDir: '/var/lib/godwit/guests/web1',
        logDir: '/l',
        images: new Map(),
        romfiles: new Map(),
        disks: new Map(),
        ports: new Map(),
        features: [],
        vhost: false,
        nodes: new Set([0]),
        pipes: false,
      });
      const at = argv.indexOf('-tpmdev');
      assert.equal(argv[at + 1], `emulator,id=${id},chardev=${chardev}`);
      const socket = '/var/lib/godwit/guests/web1/godwit-tpm.sock';
      assert.equal(argv[at - 1], `socket,id=${chardev},path=${socket}`);
      assert.equal(
        tpmBackend(parseCommandLine(['qemu', ...argv]))?.socket,
        socket,
        'it is found again when the guest moves on',
      );
    });
  }

  test('a TPM chip of the host, or one whose program is not found, cannot move', () => {
    assert.match(reasons('-tpmdev passthrough,id=t')[0] ?? '', /chip of this host/);
    assert.match(reasons(PROXMOX, { problem: 'no swtpm is seen' })[0] ?? '', /no swtpm is seen/);
    const tis = '-device tpm-spapr,tpmdev=tpmdev';
    assert.match(reasons(`${PROXMOX} ${tis}`).join('\n'), /how its TPM is attached/);
  });

  test('a TPM that is doubled, has no device, or uses an id of another part is refused by the destination', () => {
    const { spec } = draftOf(PROXMOX);
    const refused = (change: Partial<GuestSpec>): string =>
      judgeDescription({ ...spec, ...change })
        .map(({ what, allowed }) => `${what}: ${allowed}`)
        .join('\n');
    assert.equal(refused({}), '');
    assert.match(refused({ devices: [...spec.devices, ...spec.devices] }), /one TPM/);
    assert.match(refused({ devices: [{ driver: 'tpm-tis', props: {} }] }), /its `tpmdev`/);
    const tpm = { id: 'godwit-tpm', chardev: 'c', version: '2.0' } as const;
    const devices = [{ driver: 'tpm-tis', props: { tpmdev: 'godwit-tpm' } }];
    assert.match(refused({ tpm, devices }), /none of Godwit’s own/);
    const chardevs = [{ id: 'tpmchar', backend: { kind: 'null' as const } }];
    assert.match(refused({ chardevs }), /said once/);
  });
});

describe('a swtpm, by its command line', () => {
  const libvirt =
    '/usr/bin/swtpm socket --ctrl type=unixio,path=/run/s.sock,mode=0600 --tpmstate dir=/var/lib/s,mode=0600 --log file=/l --terminate --tpm2';

  test('a swtpm is known by its socket, its state and its encryption', () => {
    assert.equal(swtpmSocket(libvirt.split(' ')), '/run/s.sock');
    assert.equal(
      swtpmSocket('/usr/bin/qemu socket --ctrl type=unixio,path=/x'.split(' ')),
      undefined,
    );
    assert.deepEqual(readSwtpm(libvirt.split(' ')), PLAIN);
    const keys =
      '--key pwdfd=30,mode=aes-256-cbc --migration-key=pwdfd=31,mode=aes-256-cbc,kdf=sha512';
    assert.deepEqual(readSwtpm(`${libvirt} ${keys}`.split(' ')), {
      version: '2.0',
      key: { mode: 'aes-256-cbc', kdf: 'pbkdf2' },
      migrationKey: { mode: 'aes-256-cbc', kdf: 'sha512' },
    });
    assert.deepEqual(readSwtpm(['swtpm', 'socket']), { version: '1.2' });
    const raw = readSwtpm(`${libvirt} --key file=/k,format=binary`.split(' '));
    assert.ok('problem' in raw && /no passphrase/.test(raw.problem));
  });

  test('a swtpm that Godwit starts is read as it was described', () => {
    const key = fc
      .constantFrom(...TPM_MODES)
      .chain((mode) => fc.constantFrom(...TPM_KDFS).map((kdf) => ({ mode, kdf })));
    const tpm = fc.record({
      version: fc.constantFrom('1.2' as const, '2.0' as const),
      key,
      migrationKey: fc.option(key, { nil: undefined }),
    });
    fc.assert(
      fc.property(tpm, (made) => {
        const reported = Object.fromEntries(
          Object.entries(made).filter(([, value]) => value !== undefined),
        );
        const place = { program: '/usr/bin/swtpm', stateDir: '/t', socket: '/s', hasKey: true };
        const spec = { id: 't', chardev: 'c', ...reported } as NonNullable<GuestSpec['tpm']>;
        const { file, argv } = swtpmCommand(spec, place);
        assert.deepEqual(readSwtpm([file, ...argv]), reported);
        assert.equal(swtpmSocket([file, ...argv]), '/s');
      }),
    );
  });

  test('any swtpm command line is read without an exception', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (words) => {
        readSwtpm(words);
        swtpmSocket(words);
        readSwtpm(['swtpm', 'socket', '--key', ...words]);
      }),
    );
  });
});
