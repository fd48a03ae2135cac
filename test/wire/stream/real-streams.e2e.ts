import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { compareVersions } from '../../../src/drivers/qemu/programs/version.ts';
import { parseChannel } from '../../../src/wire/stream/channel.ts';
import { StreamContext } from '../../../src/wire/stream/context.ts';
import { ReturnPath } from './return-path.ts';
import { qemuPrograms } from '../../conformance/qemu-place.ts';
import { capture, MACHINE, whyNoPreempt, type Capture, type CapturePlan } from './capture.ts';
import { Collector } from './collector.ts';

const programs = await qemuPrograms();
if (programs.length === 0) throw new Error('no qemu-system-x86_64: run tools/setup.sh');

/** Devices whose state is long, of many kinds, or holds what the guest wrote. */
const DEVICES = [
  '-device VGA,vgamem_mb=16 -device qemu-xhci,id=usb0 -device usb-tablet,bus=usb0.0',
  '-device virtio-balloon-pci -object rng-random,id=r0,filename=/dev/urandom -device virtio-rng-pci,rng=r0',
  '-device virtio-serial-pci',
  '-uuid 6f2d4b86-8d0e-4f55-9ab4-0b0b4a6d6a01 -smp 2',
].flatMap((words) => words.split(' '));

interface ParsedCapture {
  readonly channels: readonly Collector[];
  readonly backs: readonly Collector[];
  readonly context: StreamContext;
}

/** The main channel first: it names the blocks. */
function parse({ connections }: Capture): ParsedCapture {
  const context = new StreamContext();
  const channels: Collector[] = [];
  const backs: Collector[] = [];
  for (const { forward, back } of connections) {
    const collector = new Collector();
    const parser = parseChannel(collector, context);
    for (const chunk of forward) parser.push(chunk);
    parser.end();
    channels.push(collector);
    const there = new Collector();
    const path = new ReturnPath(there);
    for (const chunk of back) path.push(chunk);
    path.end();
    backs.push(there);
  }
  return { channels, backs, context };
}

function assertLossless(captured: Capture, { channels, backs }: ParsedCapture): void {
  for (const [index, { forward, back }] of captured.connections.entries()) {
    assert.ok(Buffer.concat(forward).equals(channels[index]!.joined()), `channel ${index}`);
    assert.ok(Buffer.concat(back).equals(backs[index]!.joined()), `the way back of ${index}`);
  }
}

/** No byte that was not understood, and none that had to be skipped. */
function assertUnderstood({ channels, backs }: ParsedCapture): void {
  for (const collector of [...channels, ...backs]) {
    assert.deepEqual(
      collector.notes.filter(({ type }) => type === 'lost'),
      [],
    );
    assert.equal(collector.bytesOf('unknown') + collector.bytesOf('torn'), 0);
  }
}

function total(channels: readonly Collector[], kind: 'page' | 'zero' | 'xbzrle'): number {
  return channels.reduce((sum, { pages }) => sum + pages[kind], 0);
}

function packetsOf(channels: readonly Collector[]): { pages: number; zeroPages: number }[] {
  return channels
    .flatMap(({ notes }) => notes)
    .flatMap((note) => (note.type === 'multifd-packet' ? [note] : []));
}

/** Stated in the headers of multifd's packets. */
function zerosInHeaders(channels: readonly Collector[]): number {
  return packetsOf(channels).reduce((sum, { zeroPages }) => sum + zeroPages, 0);
}

function commands({ channels }: ParsedCapture): string[] {
  return channels[0]!.notes.flatMap((note) => (note.type === 'command' ? [note.name] : []));
}

async function withCapture(
  plan: Omit<CapturePlan, 'directory' | 'signal'>,
  check: (captured: Capture, parsed: ParsedCapture) => void,
): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-stream-'));
  try {
    const captured = await capture({
      extra: DEVICES,
      ...plan,
      directory,
      signal: AbortSignal.timeout(120_000),
    });
    const parsed = parse(captured);
    assertLossless(captured, parsed);
    check(captured, parsed);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The newest machine type of each QEMU has what its version sends; the oldest one asks newer ones for less. */
const machines = programs.flatMap(({ file, version }) =>
  [MACHINE, ...(version === '7.2' ? [] : ['q35'])].map((machine) => ({ file, version, machine })),
);

const POSTCOPY = ['postcopy-ram', 'return-path'];

/**
 * What goes with post-copy: multifd since 10.1. With both, and by the oldest machine type, preempt's connection comes
 * among those of multifd before anything is sent on it, and a destination that takes it for one of these waits.
 */
function additions(version: string, machine: string): string[][] {
  const preempt = 'postcopy-preempt';
  if (compareVersions(version, '10.1') < 0) return [[], [preempt]];
  return [[], [preempt], ['multifd'], ...(machine === MACHINE ? [] : [['multifd', preempt]])];
}

for (const { file, version, machine } of machines) {
  describe(`a stream of QEMU ${version}, machine ${machine}`, () => {
    const qemu = { binary: file, machine };

    test('a real stream is understood to the last byte, and has the pages that QEMU counted', async () => {
      await withCapture(qemu, (captured, parsed) => {
        assertUnderstood(parsed);
        const [main] = parsed.channels;
        assert.equal(main!.pages.page, captured.ram['normal']);
        assert.equal(main!.pages.zero, captured.ram['duplicate']);
        assert.deepEqual(main!.kinds().slice(0, 3), [
          'file-header',
          'configuration',
          'section-header',
        ]);
        assert.deepEqual(main!.kinds().slice(-2), ['end', 'description']);
        assert.ok(parsed.context.blocks.some(({ name }) => name === 'pc.ram'));
      });
    });

    test('a real stream with xbzrle shows the pages that QEMU sent as deltas', async () => {
      const plan = {
        ...qemu,
        capabilities: ['xbzrle'],
        parameters: { 'max-bandwidth': 8_000_000, 'downtime-limit': 400 },
      };
      await withCapture(plan, (captured, parsed) => {
        assertUnderstood(parsed);
        const [main] = parsed.channels;
        assert.ok(main!.pages.xbzrle > 0, 'QEMU made no delta');
        // Its count of pages holds those that it did not send, its count of bytes leaves 8 of each header out.
        const bytes = main!.bytesOf('xbzrle') - 8 * main!.pages.xbzrle;
        const { bytes: reported = 0, overflow = 0 } = captured.xbzrle;
        assert.equal(bytes, reported - overflow * 4096);
        assert.equal(main!.pages.page, captured.ram['normal']);
      });
    });

    for (const method of ['none', 'zstd'] as const) {
      test(`a real stream with multifd and compression ${method} shows the pages on their channels`, async () => {
        const plan = {
          ...qemu,
          capabilities: ['multifd'],
          parameters: { 'multifd-channels': 3, 'multifd-compression': method },
        };
        await withCapture(plan, (captured, parsed) => {
          assertUnderstood(parsed);
          assert.equal(captured.connections.length, 4);
          const packets = packetsOf(parsed.channels);
          const counted = packets.reduce((sum, { pages }) => sum + pages, 0);
          if (version === '7.2') {
            // Its count of pages falls short of what it sends by multifd; its count of bytes (before compression) does not.
            const bytes = counted * 4096 + packets.length * (320 + 8 * 128);
            assert.equal(bytes, captured.ram['multifd-bytes']);
          } else {
            assert.equal(counted, captured.ram['normal']);
          }
          const shown = total(parsed.channels, 'page');
          assert.equal(shown, method === 'none' ? counted : 0);
          const inHeaders = zerosInHeaders(parsed.channels);
          assert.equal(total(parsed.channels, 'zero') + inHeaders, captured.ram['duplicate']);
        });
      });
    }

    test('a real stream with virtio-mem is understood', async () => {
      const words =
        '-m maxmem=512M -object memory-backend-ram,id=vm0,size=128M -device virtio-mem-pci,memdev=vm0';
      const plan = { ...qemu, extra: [...DEVICES, ...words.split(' ')] };
      await withCapture(plan, (captured, parsed) => {
        assertUnderstood(parsed);
        const sections = parsed.channels[0]!.notes.flatMap((note) =>
          note.type === 'section' ? [note.name] : [],
        );
        assert.ok(
          sections.some((name) => name.includes('virtio-mem')),
          sections.join(' '),
        );
        assert.ok(parsed.context.blocks.some(({ name }) => name.includes('vm0')));
        assert.equal(parsed.channels[0]!.pages.page, captured.ram['normal']);
      });
    });

    test('a real stream that omits shared memory is understood', async () => {
      const plan = { ...qemu, capabilities: ['x-ignore-shared'], sharedMemory: true };
      await withCapture(plan, (captured, parsed) => {
        assertUnderstood(parsed);
        assert.ok(parsed.context.blocks.some(({ name }) => name === 'shared'));
        assert.equal(parsed.channels[0]!.pages.page, captured.ram['normal']);
        assert.ok(
          captured.connections[0]!.forward.reduce((sum, { length }) => sum + length, 0) < 20e6,
        );
      });
    });

    for (const added of [[], ['postcopy-preempt']]) {
      const skip = added.length > 0 && whyNoPreempt(version);
      const how = ['post-copy', ...added].join(' with ');
      test(`a recovering stream in ${how} continues over new connections`, { skip }, async () => {
        const plan = {
          ...qemu,
          destination: file,
          postcopy: true,
          recover: true,
          capabilities: [...POSTCOPY, ...added],
          parameters: { 'max-bandwidth': 8_000_000, 'max-postcopy-bandwidth': 4_000_000 },
        };
        await withCapture(plan, (captured, parsed) => {
          const each = 1 + added.length;
          assert.equal(captured.connections.length, 2 * each);
          for (const { notes } of [...parsed.channels, ...parsed.backs]) {
            assert.deepEqual(
              notes.filter(({ type }) => type === 'lost'),
              [],
            );
          }
          const again = parsed.channels[each];
          const said = again!.notes.flatMap((note) => (note.type === 'command' ? [note.name] : []));
          assert.ok(
            said.includes('RECV_BITMAP') && said.includes('POSTCOPY_RESUME'),
            said.join(' '),
          );
          assert.ok(again!.pages.page > 0);
          assert.ok(parsed.backs[each]!.bytesOf('bitmap') > 0);
        });
      });
    }

    for (const added of additions(version, machine)) {
      const skip = added.includes('postcopy-preempt') && whyNoPreempt(version);
      const how = ['post-copy', ...added].join(' with ');
      test(`a real stream in ${how} is understood in both directions`, { skip }, async () => {
        const plan = {
          ...qemu,
          destination: file,
          postcopy: true,
          capabilities: [...POSTCOPY, ...added],
          parameters: {
            'max-bandwidth': 8_000_000,
            'max-postcopy-bandwidth': 16_000_000,
            'multifd-channels': 3,
          },
        };
        await withCapture(plan, (captured, parsed) => {
          assertUnderstood(parsed);
          const said = commands(parsed);
          const wanted = ['OPEN_RETURN_PATH', 'POSTCOPY_ADVISE', 'PACKAGED', 'POSTCOPY_LISTEN'];
          for (const name of [...wanted, 'POSTCOPY_RUN']) assert.ok(said.includes(name), name);
          const more =
            (added.includes('multifd') ? 3 : 0) + (added.includes('postcopy-preempt') ? 1 : 0);
          assert.equal(captured.connections.length, 1 + more);
          assert.equal(total(parsed.channels, 'page'), captured.ram['normal']);
          const zeroPages = total(parsed.channels, 'zero') + zerosInHeaders(parsed.channels);
          assert.equal(zeroPages, captured.ram['duplicate']);
          const answers = parsed.backs[0]!.notes.flatMap((note) =>
            note.type === 'message' ? [note.name] : [],
          );
          assert.ok(
            answers.some((name) => name.startsWith('REQ_PAGES')),
            answers.join(' '),
          );
          assert.equal(answers.at(-1), 'SHUT');
        });
      });
    }
  });
}
