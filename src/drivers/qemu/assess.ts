import { access, constants, readdir, stat } from 'node:fs/promises';
import { z } from 'zod';
import { pass, refusal, warn, type NamedCheck } from '../../migration/preflight/check.ts';
import type { GuestDescription, StreamSettings } from '../../protocol/peer/migration.ts';
import { clientFor, isOnNetwork } from '../../protocol/network-file.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import { ovsDatabase } from '../../network/openvswitch.ts';
import type { DestinationOptions, NicPlan } from '../../port/direct.ts';
import { storesOf, whyTaken } from './images/variable-store-users.ts';
import { hasClient, type QemuProgram } from './programs/binaries.ts';
import { findPassphrases } from './images/passphrases.ts';
import { findPassthrough } from './passthrough/assess-passthrough.ts';
import type { HostDevice } from './passthrough/device.ts';
import { programChecks } from './programs/choose.ts';
import { coldCpu, cpuChecks, type OwnProcessor } from './programs/cpu-checks.ts';
import { writerChecks } from './images/disk-writers.ts';
import { forwardChecks } from './forwards.ts';
import type { ImageStore } from './images/images.ts';
import { findImages } from './images/find-images.ts';
import { memoryChecks } from './host-memory.ts';
import { streamChecks } from './inspect.ts';
import { hostVendor } from './programs/processors.ts';
import { decideNodes } from './spec/disks/disks-decided.ts';
import { codeNodes } from './spec/flash.ts';
import { judgeAmounts } from './spec/grammar/amounts.ts';
import { judgeDescription, refusedText } from './spec/grammar/judge.ts';
import { guestShape, type GuestSpec } from './spec/schema.ts';
import { tscChecks } from './programs/tsc.ts';
import type { QemuUser } from './user/ids.ts';
import { compareVersions } from './programs/version.ts';
import { HEADER_BYTES, linkOfHeader, linkOfImage } from './images/image-header.ts';

export interface Match {
  readonly spec: GuestSpec;
  readonly program: QemuProgram | undefined;
  readonly images: ReadonlyMap<keyof GuestSpec['images'], string>;
  readonly romfiles: ReadonlyMap<number, string>;
  readonly disks: ReadonlyMap<string, string>;
  readonly code: ReadonlyMap<string, string>;
  readonly passphrases: ReadonlyMap<string, string>;
  /** This host's devices to pass through, by index of the guest's device. */
  readonly passthrough: ReadonlyMap<number, HostDevice>;
  readonly checks: readonly NamedCheck[];
  /** True if a device plugged in later does DMA. */
  readonly isPinnedLater?: boolean;
}

/**
 * Reads a peer's description. Throws GODWIT_PROTOCOL_INVALID if its shape is wrong, and
 * GODWIT_DESCRIPTION_REFUSED with the part's name if the grammar does not allow a part.
 */
export function readSpec(
  description: GuestDescription,
  { host, guest, from = 'the source' }: Pick<DestinationOptions, 'host' | 'guest' | 'from'>,
): GuestSpec {
  const parsed = guestShape.safeParse(description.spec);
  if (!parsed.success) {
    throw godwitError('GODWIT_PROTOCOL_INVALID', {
      peer: from,
      expected: 'the description of a QEMU guest',
      what: z.prettifyError(parsed.error).slice(0, 1000),
    });
  }
  const [refused] = [...judgeDescription(parsed.data), ...judgeAmounts(parsed.data, description)];
  if (refused === undefined) return parsed.data;
  throw godwitError('GODWIT_DESCRIPTION_REFUSED', {
    host,
    guest,
    peer: from,
    part: refused.path.join('.').slice(0, 200),
    what: refusedText(refused),
  });
}

export async function matchHost(
  description: GuestDescription,
  stream: StreamSettings,
  options: DestinationOptions,
  host: {
    readonly programs: readonly QemuProgram[];
    readonly store: ImageStore;
    readonly imageDirs: readonly string[];
    readonly disks: ReadonlyMap<string, string>;
    readonly user: QemuUser;
    readonly luksKeyDir: string | undefined;
    readonly passthrough?: readonly string[] | undefined;
  },
  signal: AbortSignal,
): Promise<Match> {
  const described = readSpec(description, options);
  const { blockNodes = [] } = described;
  const nodes = decideNodes(
    blockNodes,
    description.disks ?? [],
    host.disks,
    options.unlockedDirs ?? [],
    { known: codeNodes(described), devices: await devicesAmong(host.disks) },
  );
  const decided = nodes.length === 0 ? described : { ...described, blockNodes: nodes };
  const { program, checks } = programChecks(description, decided, options, host.programs);
  const own = ownProcessor(decided, program, { host: options.host, vendor: await hostVendor() });
  const spec = options.isCold === true ? withColdCpu(decided, own) : decided;
  const asked = { ...host, guest: description.name, host: options.host };
  const found = await findImages(spec, asked, signal);
  const disks = new Map([...host.disks, ...found.code]);
  const keys = { keyDir: host.luksKeyDir, guest: options.guest };
  const encrypted = await findPassphrases(spec, description.disks ?? [], keys);
  const through = await findPassthrough(spec, { ...asked, names: host.passthrough ?? [] });
  const stores = storesOf(spec, host.disks);
  const taken = await whyTaken({ guest: options.guest, host: options.host }, stores, signal);
  const bridges = await bridgeChecks(description.name, nicsOf(spec, options), options.host);
  return {
    spec,
    program,
    images: found.images,
    romfiles: found.romfiles,
    disks,
    code: found.code,
    passphrases: encrypted.passphrases,
    passthrough: through.devices,
    checks: [
      ...through.checks,
      ...encrypted.checks,
      ...checks,
      ...(await processorChecks(description, decided, { program, own }, options)),
      ...found.checks,
      ...(await memoryChecks(spec, options.host)),
      ...(await diskChecks(description.name, spec, options, disks, signal)),
      ...(await writerChecks(
        { host: options.host, guest: description.name },
        [...disks.values()],
        signal,
      )),
      ...(taken === undefined ? [] : [refusal('disks', taken, 'destination')]),
      ...(await clientChecks(program, host.disks, { ...options, user: host.user }, signal)),
      ...bridges,
      ...(await forwardChecks(description.name, spec, options.host)),
      ...(program === undefined ? [] : destinationStreamChecks(stream, program)),
      ...(program === undefined || program.sandbox ? [] : [noSandbox(program)]),
    ],
  };
}

export async function devicesAmong(
  files: ReadonlyMap<string, string>,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const file of files.values()) {
    const info = isOnNetwork(file) ? undefined : await stat(file).catch(() => undefined);
    if (info?.isBlockDevice() === true) found.add(file);
  }
  return found;
}

function ownProcessor(
  { accelerator: { name: accelerator } }: GuestSpec,
  program: QemuProgram | undefined,
  host: Pick<OwnProcessor, 'host' | 'vendor'>,
): OwnProcessor {
  return { ...host, accelerator, offered: program?.features[accelerator] ?? [] };
}

async function processorChecks(
  description: GuestDescription,
  spec: GuestSpec,
  { program, own }: { readonly program: QemuProgram | undefined; readonly own: OwnProcessor },
  options: DestinationOptions,
): Promise<NamedCheck[]> {
  if (program === undefined) return [];
  const processor = cpuChecks(description.name, spec.cpu, own, options.isCold === true);
  return [...processor, ...(await tscChecks(description, spec, program.tscHz, options))];
}

function withColdCpu(spec: GuestSpec, own: OwnProcessor): GuestSpec {
  return spec.cpu === undefined ? spec : { ...spec, cpu: coldCpu(spec.cpu, own) };
}

function destinationStreamChecks(stream: StreamSettings, program: QemuProgram): NamedCheck[] {
  const checks = streamChecks(stream, program, 'destination');
  if (stream.mode === 'precopy' || program.postcopyObstacle === undefined) return checks;
  const only = compareVersions(program.version, '8.0.0') < 0;
  const why = only
    ? 'QEMU before 8.0 knows only the system call userfaultfd, which the kernel keeps from users'
    : 'its user may not use userfaultfd there, and cannot open /dev/userfaultfd';
  const reason = `${program.postcopyObstacle} (${why})`;
  const facts = { what: `--mode ${stream.mode}`, reason };
  const hint = `On that host, set vm.unprivileged_userfaultfd=1${only ? ', or install QEMU 8.0 or later' : ''}.`;
  const error = godwitError('GODWIT_CAPABILITY', facts, { hint });
  return [...checks, refusal('stream', error, 'destination')];
}

function noSandbox({ binary }: QemuProgram): NamedCheck {
  const evidence = `${binary} was built without seccomp: its system calls are not filtered`;
  const hint = 'Install a QEMU that was built with seccomp, or name one as drivers.qemu.programs.';
  return warn('sandbox', evidence, hint, 'destination');
}

/** Network clients of the program; distributions package them separately. */
async function clientChecks(
  program: QemuProgram | undefined,
  files: ReadonlyMap<string, string>,
  asked: { readonly host: string; readonly user: QemuUser },
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  if (program === undefined) return [];
  const wanted = new Map([...files.values()].map((file) => [clientFor(file), file] as const));
  const checks: NamedCheck[] = [];
  for (const [client, file] of wanted) {
    if (client === undefined || (await hasClient(program, client, asked, signal))) continue;
    const { a, driver } = CLIENTS[client];
    const what = `${a} client of QEMU (${program.binary}) for ${file}`;
    const hint = `Install what brings QEMU’s ${driver} driver (qemu-block-extra on Debian and Ubuntu).`;
    const error = godwitError('GODWIT_HOST_LACKS', { what }, { hint });
    checks.push(refusal('disks', error, 'destination'));
  }
  return checks;
}

const CLIENTS = {
  nfs: { a: 'an NFS', driver: 'NFS' },
  iscsi: { a: 'an iSCSI', driver: 'iSCSI' },
  rbd: { a: 'an RBD', driver: 'RBD' },
} as const;

export function nicsOf(spec: GuestSpec, options: DestinationOptions): NicPlan[] {
  return spec.netdevs.flatMap((netdev) => {
    if (netdev.type !== 'tap') return [];
    const { id, mac, bridge } = netdev;
    const queues = netdev.queues > 1 ? { multiQueue: true } : {};
    if (bridge === undefined) return [{ id, mac, ...queues }];
    return [{ id, mac, bridge: options.networks[bridge] ?? bridge, ...queues }];
  });
}

async function bridgeChecks(
  guest: string,
  nics: readonly NicPlan[],
  host: string,
): Promise<NamedCheck[]> {
  const names: string[] = await readdir('/sys/class/net').catch(() => []);
  // The mover asks the database of Open vSwitch whether a link is its bridge.
  const mayBeOvs = (await ovsDatabase()) !== undefined;
  const checks: NamedCheck[] = [];
  for (const { id, bridge } of nics) {
    if (bridge === undefined) continue;
    const isBridge =
      names.includes(bridge) &&
      (mayBeOvs ||
        (await stat(`/sys/class/net/${bridge}/bridge`).then(
          () => true,
          () => false,
        )));
    const what = `there is no bridge ${bridge}`;
    checks.push(
      isBridge
        ? pass('network', `${id} joins bridge ${bridge}`, 'destination')
        : refusal(
            'network',
            godwitError('GODWIT_DEVICE_UNMAPPED', { device: id, guest, host, what }),
            'destination',
          ),
    );
  }
  return checks;
}

export async function hasVhostNet(): Promise<boolean> {
  return access('/dev/vhost-net', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
}

export async function diskChecks(
  guest: string,
  spec: GuestSpec,
  { host, headOf }: Pick<DestinationOptions, 'host' | 'headOf'>,
  files: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const code = codeNodes(spec);
  const checks: NamedCheck[] = [];
  for (const { node, format } of spec.blockNodes ?? []) {
    const file = files.get(node);
    if (file === undefined) {
      if (code.has(node)) continue;
      const facts = { host, guest, device: node, reason: 'nobody reported where its file lies' };
      checks.push(refusal('disks', godwitError('GODWIT_DISK_MISSING', facts), 'destination'));
      continue;
    }
    if (format !== 'qcow2') continue;
    const reason = isOnNetwork(file) ? await whyLinkedThere(file, headOf, signal) : whyLinked(file);
    if (reason === undefined) continue;
    const error = godwitError('GODWIT_DISK_LINKED', { device: node, guest, file, reason });
    checks.push(refusal('disks', error, 'destination'));
  }
  return checks;
}

/** Returns undefined if the file does not exist yet or cannot be examined here; QEMU may still be able to read it. */
function whyLinked(file: string): string | undefined {
  try {
    return linkOfImage(file);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return `its header could not be looked at: ${toGodwitError(thrown).message}`;
  }
}

/** Returns undefined if the image cannot be examined now; QEMU may be able to read it a moment later. */
async function whyLinkedThere(
  file: string,
  headOf: DestinationOptions['headOf'],
  signal: AbortSignal,
): Promise<string | undefined> {
  if (headOf === undefined) return 'its header cannot be looked at here';
  try {
    return linkOfHeader(await headOf(file, HEADER_BYTES, signal));
  } catch (thrown) {
    signal.throwIfAborted();
    return `its header could not be looked at: ${toGodwitError(thrown).message}`;
  }
}
