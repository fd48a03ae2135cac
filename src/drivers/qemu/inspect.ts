import { haltHint, haltedWords, type Halt } from '../../migration/guest-changes/run-states.ts';
import { pass, refusal, warn, type NamedCheck } from '../../migration/preflight/check.ts';
import { defined } from '../../protocol/defined.ts';
import { guestDescription, type StreamSettings } from '../../protocol/peer/migration.ts';
import { tooMany } from '../../protocol/too-many.ts';
import { godwitError, type GodwitError } from '../../errors.ts';
import type { DeviceState } from '../../migration/preflight/switchover.ts';
import type { Inspection } from '../../port/inspection.ts';
import { storesOf, whyNotAlone } from './images/variable-store-users.ts';
import type { ImageStore } from './images/images.ts';
import { describeGuest, type Draft } from './spec/describe.ts';
import type { GuestFacts } from './spec/facts.ts';
import type { Finding } from './spec/findings.ts';
import { loadedFrom, type ContentSource } from './images/loaded-files.ts';
import { flashName } from './spec/flash.ts';
import { hintFor } from './spec/hints.ts';
import { judgeAmounts } from './spec/grammar/amounts.ts';
import { refusedText, guestSpec } from './spec/grammar/judge.ts';
import { type FlashSpec, type GuestSpec } from './spec/schema.ts';
import type { Unplugging } from './spec/unplug.ts';
import { streamObstacles, type StreamAbilities } from './stream.ts';
import { compareVersions } from './programs/version.ts';

interface Looking {
  readonly store: ImageStore;
  readonly signal: AbortSignal;
  readonly unplugging?: Omit<Unplugging, 'facts'>;
  readonly halted?: Halt | undefined;
  /** Guest's process, for the files that it read at start. If absent, the files at their paths are used. */
  readonly pid?: number;
}

export async function inspectFacts(
  guest: string,
  facts: GuestFacts,
  abilities: StreamAbilities,
  stream: Omit<StreamSettings, 'tls'>,
  images: Looking,
): Promise<Inspection> {
  const draft = describeGuest(facts);
  const missing: Finding[] = [];
  const spec = await withImages(draft, images, missing);
  const { unplugged = [], findings: others = [] } = images.unplugging ?? {};
  const findings = [...others, ...draft.findings, ...missing];
  const checks = [
    stateCheck(guest, facts, images.halted),
    ...deviceChecks(guest, findings),
    ...streamChecks(stream, abilities, 'source'),
    ...trackingCheck(facts),
    ...postcopyChecks(guest, stream, facts),
    ...(await storeCheck(guest, spec, draft, images.signal)),
  ];
  if (!checks.some((check) => check.verdict === 'refuse')) {
    checks.push(...shapeChecks(guest, spec, draft, facts));
  }
  const description = {
    driver: 'qemu',
    name: guest,
    ...defined({ uuid: facts.uuid }),
    memoryBytes: facts.memoryBytes,
    vcpus: facts.vcpus,
    hypervisorVersion: facts.version,
    ...(facts.accelerator !== 'kvm' || facts.tscHz === undefined ? {} : { tscHz: facts.tscHz }),
    spec,
    ...(draft.disks.disks.length === 0 ? {} : { disks: [...draft.disks.disks] }),
  };
  return {
    description,
    ...(draft.disks.disks.length === 0 ? {} : { files: Object.fromEntries(draft.disks.files) }),
    ...(draft.disks.uncopyable.size === 0
      ? {}
      : { uncopyable: Object.fromEntries(draft.disks.uncopyable) }),
    ...(spec.tpm === undefined ? {} : { onThisHost: 'what its TPM holds' }),
    ...(unplugged.length === 0 ? {} : { unplugged }),
    deviceStates: deviceStatesOf(facts),
    checks: [...checks, ...blockedChecks(guest, facts.blockedReasons)],
  };
}

function deviceStatesOf({ devices }: GuestFacts): DeviceState[] {
  return devices.flatMap(({ id, type, host }) => {
    if (host === undefined) return [];
    const { stopCopyBytes, memoryBytes, features = [] } = host;
    const sendsBefore = features.includes('pre-copy');
    return [{ device: id ?? type, stopCopyBytes, sendsBefore, memoryBytes }];
  });
}

/** QEMU moves such a device only with pre-copy, because a device cannot wait for a page. */
function postcopyChecks(
  guest: string,
  { mode }: Omit<StreamSettings, 'tls'>,
  { devices }: GuestFacts,
): NamedCheck[] {
  const [first] = devices.filter(({ host }) => host !== undefined);
  if (first === undefined || mode === 'precopy') return [];
  const device = first.id ?? first.type;
  const reason = `${device} of ${guest} is passed through, and QEMU migrates such devices by pre-copy alone`;
  const hint = `Use --mode precopy, or --unplug ${device}.`;
  const error = godwitError('GODWIT_CAPABILITY', { what: `--mode ${mode}`, reason }, { hint });
  return [refusal('stream', error)];
}

async function storeCheck(
  guest: string,
  spec: GuestSpec,
  draft: Draft,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const shared = await whyNotAlone(guest, storesOf(spec, draft.disks.files), signal);
  return shared === undefined ? [] : [refusal('disks', shared)];
}

function shapeChecks(
  guest: string,
  spec: GuestSpec,
  draft: Draft,
  facts: GuestFacts,
): NamedCheck[] {
  const all = { ...spec, disks: draft.disks.disks };
  const disks = guestDescription.pick({ disks: true }).safeParse(all);
  const parsed = guestSpec.safeParse(spec);
  for (const { error } of [disks, parsed]) {
    const many = error === undefined ? undefined : tooMany(all, error);
    if (many === undefined) continue;
    return [refusal('devices', godwitError('GODWIT_TOO_MANY', { guest, ...many }))];
  }
  const unmovable = (device: string, reason: string): NamedCheck =>
    refusal('devices', unmovableError(guest, device, 'setting', reason));
  const issue = parsed.error?.issues[0] ?? disks.error?.issues[0];
  return [
    ...(issue === undefined ? [] : [unmovable(issue.path.join('.') || 'the guest', issue.message)]),
    ...judgeAmounts(spec, facts).map((each) => unmovable(each.path.join('.'), refusedText(each))),
  ];
}

async function withImages(
  draft: Draft,
  { store, signal, pid }: Looking,
  missing: Finding[],
): Promise<GuestSpec> {
  const images: GuestSpec['images'] = {};
  const look = async (file: string, device: string, isOpen = false) => {
    try {
      const loaded: ContentSource =
        pid === undefined ? { at: file } : await loadedFrom(pid, file, isOpen);
      if ('why' in loaded) throw new Error(loaded.why);
      const { at, note, hint } = loaded;
      if (note !== undefined)
        missing.push({
          kind: 'changed',
          device,
          type: 'image',
          reason: note,
          ...defined({ hint }),
        });
      return await store.identify(file, signal, at);
    } catch (error) {
      signal.throwIfAborted();
      const reason = `its file cannot be read (${error instanceof Error ? error.message : String(error)})`;
      missing.push({ kind: 'unmovable', device, type: 'image', reason });
      return undefined;
    }
  };
  for (const [slot, file] of draft.imageFiles) {
    const image = await look(file, `-${slot}`);
    if (image !== undefined) images[slot] = image;
  }
  const devices = [...draft.spec.devices];
  for (const [index, file] of draft.romfiles) {
    const device = devices[index];
    if (device === undefined) continue;
    const romfile = await look(file, device.id ?? device.driver);
    if (romfile !== undefined) devices[index] = { ...device, romfile };
  }
  const flash: FlashSpec[] = [];
  for (const chip of draft.spec.flash ?? []) {
    const file = draft.codeFiles.get(chip.unit);
    const image = file === undefined ? undefined : await look(file, flashName(chip.unit), true);
    flash.push({ ...chip, ...defined({ image }) });
  }
  return { ...draft.spec, images, devices, ...(flash.length === 0 ? {} : { flash }) };
}

const OVER: ReadonlySet<string> = new Set(['none', 'cancelled', 'completed', 'failed']);

function stateCheck(guest: string, facts: GuestFacts, halted?: Halt): NamedCheck {
  if (facts.status === 'running') {
    const { migrationStatus: state } = facts;
    if (OVER.has(state)) return pass('state', 'the guest is running');
    return refusal('state', godwitError('GODWIT_GUEST_STUCK', { guest, state }));
  }
  const state = halted === undefined ? facts.status : haltedWords(halted);
  const hint = halted === undefined ? {} : { hint: haltHint(halted) };
  return refusal('state', godwitError('GODWIT_GUEST_STATE', { guest, state }, hint));
}

const CHANGED = 'Nothing to do, unless the guest counts on what changes.';

function deviceChecks(guest: string, findings: readonly Finding[]): NamedCheck[] {
  const checks = findings.map((finding): NamedCheck => {
    const { device, type, reason } = finding;
    switch (finding.kind) {
      case 'changed':
        return warn('devices', `${device} (${type}) ${reason}`, finding.hint ?? CHANGED);
      case 'disk':
        return diskRefusal('GODWIT_DISK_LOCAL', guest, finding);
      case 'disk-linked':
        return diskRefusal('GODWIT_DISK_LINKED', guest, finding);
      case 'disk-cache':
        return diskRefusal('GODWIT_DISK_CACHE', guest, finding);
      case 'disk-format':
        return diskRefusal('GODWIT_DISK_FORMAT', guest, finding);
      case 'unmovable':
        return refusal('devices', unmovableError(guest, device, type, reason, hintFor(finding)));
    }
  });
  if (checks.some((check) => check.verdict === 'refuse')) return checks;
  return [...checks, pass('devices', 'every device can be made again')];
}

function diskRefusal(
  code: 'GODWIT_DISK_LOCAL' | 'GODWIT_DISK_LINKED' | 'GODWIT_DISK_CACHE' | 'GODWIT_DISK_FORMAT',
  guest: string,
  finding: Finding,
): NamedCheck {
  const { device, type: file, reason } = finding;
  const hint = hintFor(finding);
  const facts = { device, guest, file, reason };
  return refusal('disks', godwitError(code, facts, hint === undefined ? {} : { hint }));
}

const LIVE_ONLY = 'Remove it, or move the guest with --mode cold, which shuts it down.';

function unmovableError(
  guest: string,
  device: string,
  type: string,
  reason: string,
  hint?: string,
): GodwitError {
  const facts = { device, type, guest, reason };
  return godwitError('GODWIT_DEVICE_UNMOVABLE', facts, hint === undefined ? {} : { hint });
}

export function streamChecks(
  stream: Omit<StreamSettings, 'tls'>,
  abilities: StreamAbilities,
  side: 'source' | 'destination',
): NamedCheck[] {
  const obstacles = streamObstacles(stream, abilities, side === 'source');
  if (obstacles.length === 0) {
    return [pass('stream', `QEMU ${abilities.version} can do what was asked`, side)];
  }
  return obstacles.map(({ hint, ...facts }) =>
    refusal(
      'stream',
      godwitError('GODWIT_CAPABILITY', facts, hint === undefined ? {} : { hint }),
      side,
    ),
  );
}

/**
 * Before QEMU 9.0, emulated processors can miss a page that the guest writes while its memory is sent (upstream
 * fix: "Fix migration dirty bitmap coherency with TCG memory access"). KVM is not affected.
 */
function trackingCheck(facts: GuestFacts): NamedCheck[] {
  if (facts.accelerator !== 'tcg' || compareVersions(facts.version, '9.0') >= 0) return [];
  const evidence = `QEMU ${facts.version} without KVM can lose a write to memory while it is sent`;
  const hint = 'Move the guest while it is quiet, or run it on QEMU 9.0 or later.';
  return [warn('dirty-tracking', evidence, hint)];
}

function blockedChecks(guest: string, reasons: readonly string[]): NamedCheck[] {
  return reasons.map((reason) =>
    refusal(
      'blocked',
      unmovableError(guest, /'([^']+)'/.exec(reason)?.[1] ?? 'QEMU', 'blocker', reason, LIVE_ONLY),
    ),
  );
}
