import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { QemuProgram } from '../../../src/drivers/qemu/programs/binaries.ts';
import { chooseProgram } from '../../../src/drivers/qemu/programs/choose.ts';
import { diffieHellmanPem, peerIdentity } from '../../../src/drivers/qemu/tls.ts';
import { ImageStore } from '../../../src/drivers/qemu/images/images.ts';
import { addressOf, blockDifference } from '../../../src/drivers/qemu/incoming.ts';
import { describeGuest } from '../../../src/drivers/qemu/spec/describe.ts';
import { hasCode } from '../../../src/errors.ts';
import { commandLine, factsOf } from './spec/facts.ts';

const program = (version: string, machineTypes: string[], kvm = false): QemuProgram => ({
  binary: `/opt/${version}/qemu-system-x86_64`,
  version,
  arch: 'x86_64',
  machineTypes,
  capabilities: [],
  multifdCompression: [],
  sandbox: true,
  rdma: false,
  features: kvm ? { kvm: [], tcg: [] } : { tcg: [] },
});

const SPEC = describeGuest(factsOf(commandLine('-nodefaults'))).spec;
const OLD = program('7.2.22', ['pc-q35-7.2']);
const NEW = program('10.0.2', ['pc-q35-7.2', 'pc-q35-10.0']);

describe('the QEMU for a guest', () => {
  test("the program has the source's version, else it is the newest that knows the machine type", () => {
    const chosen = (version: string, programs: QemuProgram[]) => {
      const choice = chooseProgram(version, SPEC, programs);
      return choice.kind === 'program' ? [choice.program.version, choice.older] : choice.kind;
    };
    assert.deepEqual(chosen('7.2.22', [NEW, OLD]), ['7.2.22', false]);
    assert.deepEqual(chosen('8.0.0', [OLD, NEW]), ['10.0.2', false]);
    assert.deepEqual(chosen('10.0.2', [OLD]), ['7.2.22', true]);
  });

  test('no program is chosen if none knows the machine type or has the accelerator', () => {
    const machine = { ...SPEC, machine: { type: 'pc-q35-10.0', props: {} } };
    assert.deepEqual(chooseProgram('10.0.2', machine, [OLD]), {
      kind: 'no-machine',
      newest: '7.2.22',
    });
    const kvm = { ...SPEC, accelerator: { name: 'kvm' as const, props: {} } };
    assert.equal(chooseProgram('7.2.22', kvm, [OLD]).kind, 'no-accelerator');
    assert.equal(
      chooseProgram('7.2.22', kvm, [program('7.2.22', ['pc-q35-7.2'], true)]).kind,
      'program',
    );
    assert.equal(chooseProgram('7.2.22', SPEC, []).kind, 'no-machine');
  });
});

describe('an image', () => {
  test('an image is found by its content, wherever it is and whatever it is called', async () => {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-images-'));
    try {
      const signal = new AbortController().signal;
      const file = path.join(directory, 'vmlinuz');
      await writeFile(file, 'kernel');
      await writeFile(path.join(directory, 'decoy'), 'kernex');
      const store = new ImageStore(path.join(directory, 'cache'));
      const image = await store.identify(file, signal);
      assert.equal(image.bytes, 6);
      assert.equal(await store.find(image, [directory], signal), file);
      const moved = path.join(directory, 'other-name');
      await rename(file, moved);
      const later = new ImageStore(path.join(directory, 'cache'));
      assert.equal(await later.find(image, ['/none', directory], signal), moved);
      await writeFile(moved, 'KERNEL');
      assert.equal(await later.find(image, [directory], signal), undefined);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('TLS of the stream', () => {
  test('the stream admits the peer only by its name, in the order of our own certificate', () => {
    assert.equal(peerIdentity('CN=b\nOU=agent\nO=Godwit', 'a'), 'CN=a,OU=agent,O=Godwit');
    assert.equal(peerIdentity('O=Godwit\nCN=b', 'a'), 'O=Godwit,CN=a');
    assert.throws(
      () => peerIdentity('O=Godwit', 'a'),
      (error) => hasCode(error, 'GODWIT_PKI'),
    );
  });

  test('the stream has Diffie-Hellman parameters ready, since QEMU would take time to create them', () => {
    const lines = diffieHellmanPem().split('\n');
    assert.equal(lines[0], '-----BEGIN DH PARAMETERS-----');
    const der = Buffer.from(lines.slice(1, -2).join(''), 'base64');
    assert.equal(der[0], 0x30);
    assert.equal(der.readUInt16BE(2), der.length - 4);
  });
});

describe('memory blocks of both ends', () => {
  const blocks = [{ name: 'pc.ram', bytes: 4096 }];
  test('memory blocks of both ends are the same, or the first difference is named', () => {
    assert.equal(blockDifference(blocks, blocks), undefined);
    assert.equal(blockDifference(blocks, [])?.name, 'memory block pc.ram');
    assert.match(
      blockDifference(blocks, [{ name: 'pc.ram', bytes: 8192 }])?.what ?? '',
      /4096 bytes there and 8192 here|8192/,
    );
    assert.match(blockDifference([], blocks)?.what ?? '', /only the destination/);
  });

  test('memory blocks travel to the port that QEMU chose', () => {
    const where = { listenHost: '::1', host: 'b', ports: { from: 1, to: 2 } };
    const state = { 'socket-address': [{ type: 'inet', host: '::1', port: '49152' }] };
    assert.equal(addressOf(state, where), '[::1]:49152');
    assert.equal(addressOf({}, where), undefined);
  });
});
