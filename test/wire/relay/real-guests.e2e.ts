import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { Monitor } from '../../../lab/witness/monitor.ts';
import { SourceRelay } from '../../../src/wire/relay/source.ts';
import { TargetRelay } from '../../../src/wire/relay/target.ts';
import { qemuPrograms } from '../../conformance/qemu-place.ts';
import { bootTinyGuest, tinyMemoryMib } from '../../drivers/qemu/tiny-guest.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import {
  configure,
  MACHINE,
  receive,
  status,
  whyNoPreempt,
  type CapturePlan,
} from '../stream/capture.ts';
import { reserveHugePages, type HugePages } from './huge-pages.ts';
import { sessionPair } from './memory-session.ts';
import { untilSo } from '../../until.ts';

const programs = await qemuPrograms();
if (programs.length === 0) throw new Error('no qemu-system-x86_64: run tools/setup.sh');

const GUEST = { keptMib: 12, dirtyMib: 6 };

/** Blocks of video memory and of virtio-mem, whose device comes before the first page. */
const DEVICES = [
  '-device VGA,vgamem_mb=16',
  '-m maxmem=512M -object memory-backend-ram,id=vm0,size=128M -device virtio-mem-pci,memdev=vm0',
].flatMap((words) => words.split(' '));

const memoryMib = tinyMemoryMib(GUEST);
const HUGE_PAGES = [
  `-object memory-backend-memfd,id=huge,size=${memoryMib}M,hugetlb=on,hugetlbsize=2M`,
  '-machine memory-backend=huge',
].flatMap((words) => words.split(' '));

type Plan = Pick<CapturePlan, 'capabilities' | 'parameters' | 'postcopy' | 'extra' | 'machine'>;

/** A guest is moved from QEMU to QEMU through the relays; gives what the source's relay counted. */
async function move(context: TestContext, binary: string, wanted: Plan) {
  const directory = tempDir(context);
  const signal = AbortSignal.timeout(120_000);
  await mkdir(path.join(directory, 'source'));
  const kernel = path.join(directory, 'kernel');
  const plan: CapturePlan = { binary, destination: binary, directory, signal, ...wanted };
  const guest = await bootTinyGuest({
    binary,
    name: 'relayed',
    directory: path.join(directory, 'source'),
    kernel,
    plan: GUEST,
    machine: plan.machine ?? MACHINE,
    extra: plan.extra ?? [],
  });
  context.after(() => guest.end());
  const from = await Monitor.open(guest.monitor, signal);
  context.after(() => from.close());
  const ends: (() => void)[] = [];
  context.after(() => ends.toReversed().forEach((end) => end()));
  const to = await receive(plan, kernel, ends);
  const [near, far] = sessionPair();
  const memoryBytes = 64 * 2 ** 20;
  const target = new TargetRelay(far, { socket: to.socket, peer: 'a', memoryBytes });
  const socket = path.join(directory, 'outgoing.sock');
  const options = { socket, peer: 'b', memoryBytes, cores: 1, helloMs: 60_000 };
  const source = await SourceRelay.open(near, options);
  context.after(() => source.fail(new Error('the test is over')));
  await configure(from, plan);
  await from.execute('migrate', { uri: `unix:${socket}` });
  if (plan.postcopy === true) {
    await status(from, 'active', signal);
    await from.execute('migrate-start-postcopy');
  }
  await status(from, 'completed', signal);
  await status(to.monitor, 'completed', signal);
  await Promise.all([source.close(60_000), target.close(60_000)]);
  await near.close(60_000);
  // It goes on summing its pattern there: the sum says whether its memory is what it was.
  const log = path.join(directory, 'destination', 'serial.log');
  const said = (): Promise<string> => readFile(log, 'latin1').catch(() => '');
  await untilSo(async () => (await said()).length > 3);
  assert.doesNotMatch(await said(), /X/);
  const ram = ((await from.execute('query-migrate')) as { ram: Record<string, number> }).ram;
  return { ram, figures: source.figures, near };
}

const POSTCOPY: Plan = { postcopy: true, capabilities: ['postcopy-ram', 'return-path'] };

async function assertMoves(context: TestContext, file: string, plan: Plan): Promise<void> {
  const { ram, figures, near } = await move(context, file, plan);
  const reported = figures.tallies.map((tally) => tally.encoded);
  const pages = reported.reduce((sum, { bytes: _, ...kinds }) => {
    return Object.values(kinds).reduce((all, count) => all + count, sum);
  }, 0);
  if (plan.capabilities?.includes('xbzrle') !== true) {
    assert.ok(pages >= (ram['normal'] ?? 0), `${pages} pages of ${ram['normal']}`);
  }
  const sent = near.sent.values().reduce((sum, bytes) => sum + bytes, 0);
  assert.ok(sent < figures.streamBytes * 0.8, `${sent} of ${figures.streamBytes} bytes`);
}

for (const { file, version } of programs) {
  describe(`a guest of QEMU ${version} through the relays`, () => {
    const preempt = [...(POSTCOPY.capabilities ?? []), 'postcopy-preempt'];
    const cases: [string, Plan, skip?: string | false][] = [
      ['by pre-copy', {}],
      ['by pre-copy with xbzrle', { capabilities: ['xbzrle'] }],
      ['by pre-copy with several blocks and virtio-mem', { extra: DEVICES }],
      ['by post-copy', POSTCOPY],
      ['by post-copy with preempt', { ...POSTCOPY, capabilities: preempt }, whyNoPreempt(version)],
      // The oldest machine type opens the second connection with the first, newer ones at the switch.
      [
        'by post-copy with preempt, of its newest machine type',
        { ...POSTCOPY, capabilities: preempt, machine: 'q35' },
        whyNoPreempt(version),
      ],
    ];
    for (const [how, plan, skip = false] of cases) {
      test(`a guest of QEMU has its memory through the relays ${how}`, { skip }, (context) =>
        assertMoves(context, file, plan),
      );
    }
  });

  describe(`a guest of QEMU ${version} on pages of 2 MiB through the relays`, () => {
    let pages: HugePages | undefined;
    // The guests of both sides have theirs at once.
    before(async () => void (pages = await reserveHugePages(memoryMib)));
    after(() => pages?.giveBack());

    for (const [how, plan] of [
      ['pre-copy', {}],
      ['post-copy', POSTCOPY],
    ] as const) {
      test(`a guest of QEMU on pages of 2 MiB has its memory by ${how}`, async (context) => {
        if (pages?.lacking !== undefined) return context.skip(pages.lacking);
        await assertMoves(context, file, { ...plan, extra: HUGE_PAGES });
      });
    }
  });
}
