import { godwitError } from '../../errors.ts';
import { splitAddress } from '../../protocol/names.ts';
import type { BalloonPolicy } from '../../protocol/public/balloon.ts';
import type { Transport } from '../../protocol/public/transport.ts';
import { formatBytes, formatDuration } from '../../protocol/quantity.ts';
import type { HostFacts } from '../../protocol/peer/host-facts.ts';
import { passes, refuses, warns, type Finding } from './finding.ts';
import type { LinkFacts } from './link.ts';

export interface HostsFacts extends LinkFacts {
  readonly source: HostFacts;
  readonly destination: HostFacts;
  /** Times of the question to the destination and of its answer, by the source's clock, ms. */
  readonly askedMs: number;
  readonly answeredMs: number;
  /** host:port of each address of the destination, or of its relay. */
  readonly paths: readonly string[];
  /** Absent: TCP, encrypted. */
  readonly transport?: Transport | undefined;
  /** The site's check for the destination to run once the guest is there. */
  readonly siteCheck?: string | undefined;
  /** The guest arrives with a partly inflated balloon. */
  readonly balloon?: BalloonPolicy | undefined;
}

/** Larger differences make it hard to compare times in both hosts' logs, ms. */
const MAX_SKEW_MS = 1000;
/** Minimum validity of a certificate, ms. Below this, renewal has failed, and a long migration may outlast it. */
const MIN_CERTIFICATE_MS = 2 * 86_400_000;
/** Many times the size of a journal; the disk must not fill up before the end, bytes. */
const MIN_JOURNAL_BYTES = 64 * 1024 ** 2;

export function judgeClock({ source, destination, askedMs, answeredMs }: HostsFacts): Finding[] {
  const aheadMs = destination.wallMs - answeredMs;
  const behindMs = askedMs - destination.wallMs;
  const skewMs = Math.max(aheadMs, behindMs);
  if (skewMs <= MAX_SKEW_MS) return [passes(`${destination.name} and ${source.name} agree`)];
  const where = aheadMs > behindMs ? 'ahead of' : 'behind';
  const evidence = `the clock of ${destination.name} is at least ${formatDuration(skewMs)} ${where} that of ${source.name}`;
  const hint =
    'Synchronise both clocks (chrony, NTP): logs and reports of the two hosts cannot be compared, and a guest that reads its host’s clock sees it jump.';
  return [warns(evidence, hint)];
}

/** Warns if the destination is a virtual machine without KVM, and the source has KVM. */
export function judgeNested({ source, destination }: HostsFacts): Finding[] {
  const { name, platform } = destination;
  if (platform === undefined) return [];
  if (!platform.isVirtual) return [passes(`${name} is no virtual machine`)];
  const { cloud, maker, model, hasKvm } = platform;
  const of = [cloud ?? maker, model].filter((each) => each !== undefined).join(' ');
  const what = `${name} is a virtual machine${of === '' ? '' : ` (${of})`}`;
  if (hasKvm) return [passes(`${what} that has /dev/kvm`)];
  const evidence = `${what} without nested virtualisation`;
  // A guest that is emulated at the source does not become slower.
  if (source.platform?.hasKvm !== true) return [passes(`${evidence}; ${source.name} has no KVM`)];
  const hint = `A guest under KVM cannot go there, and one that is emulated runs many times slower than its processor would. Choose a type of machine there that has nested virtualisation or is bare metal, and turn it on.`;
  return [warns(evidence, hint)];
}

/** Warns if a guest in post-copy would not survive the loss of a link. */
export function judgeSecondPath({ destination, mayPostcopy, paths }: HostsFacts): Finding[] {
  if (!mayPostcopy) return [];
  const hosts = new Set(paths.map((each) => splitAddress(each).host));
  if (hosts.size > 1)
    return [passes(`connections to ${destination.name} go to ${[...hosts].join(', ')}`)];
  const evidence = `${destination.name} is known at one address alone`;
  const hint =
    'In post-copy a guest needs both hosts: if this link breaks, it is paused until the link is back. Name a second link with `addresses` in both configurations or --path-address, between sites a second relay at another provider; or move by pre-copy.';
  return [warns(evidence, hint)];
}

export function judgeVersions({ source, destination }: HostsFacts): Finding[] {
  const [here, there] = [source.version, destination.version];
  if (here === there) return [passes(`both run Godwit ${here}`)];
  const evidence = `${source.name} runs Godwit ${here}, ${destination.name} runs ${there}`;
  const hint = 'Neighbouring versions work together; upgrade the older one when it is convenient.';
  return [warns(evidence, hint)];
}

export function judgeJournal({ source, destination }: HostsFacts): Finding[] {
  return eachOf([source, destination], ({ name, journalFreeBytes: free }) => {
    if (free === undefined) return `${name} does not say how much is free for its journals`;
    if (free >= MIN_JOURNAL_BYTES) return `${formatBytes(free)} are free on ${name}`;
    const evidence = `${formatBytes(free)} are free where ${name} keeps its journals`;
    return warns(
      evidence,
      `Make room in the \`stateDir\` of ${name}: a migration cannot go on where nothing can be written.`,
    );
  });
}

export function judgeCertificates({ source, destination }: HostsFacts): Finding[] {
  return eachOf([source, destination], ({ name, certificateEndsMs: ends, wallMs }) => {
    if (ends === undefined) return `${name} does not say how long its certificate lasts`;
    const left = formatDuration(Math.max(0, ends - wallMs));
    if (ends - wallMs >= MIN_CERTIFICATE_MS) return `${name}: ${left} are left`;
    const evidence = `the certificate of ${name} expires in ${left}`;
    return warns(
      evidence,
      `Run \`godwit doctor\` on ${name}, which says why it was not renewed; see “Certificates renew themselves” in docs/certificates.md.`,
    );
  });
}

export function judgeHooks({ source, destination }: HostsFacts): Finding[] {
  const [here, there] = [source.hooks ?? [], destination.hooks ?? []];
  const missing = [
    ...here.filter((hook) => !there.includes(hook)).map((hook) => ({ hook, host: destination })),
    ...there.filter((hook) => !here.includes(hook)).map((hook) => ({ hook, host: source })),
  ];
  if (missing.length === 0)
    return [passes(here.length === 0 ? 'neither host has any' : `both have ${here.join(', ')}`)];
  const all = missing.map(({ hook, host }) => `${hook} on ${host.name}`).join(', ');
  const hint =
    'Install it there too as an executable in `hooks.directory`, or remove it from the other host: which host is source and which is destination changes with each migration.';
  return [warns(`missing, though the other host has it: ${all}`, hint)];
}

/** One finding for each requirement of an unencrypted transport that a host lacks. */
export function judgeTransport({
  source,
  destination,
  transport = 'tcp',
}: Pick<HostsFacts, 'transport'> & {
  readonly source: TransportFacts;
  readonly destination: TransportFacts;
}): Finding[] {
  if (transport === 'tcp') return [];
  const what = `--transport ${transport}`;
  const refused = (reason: string, hint: string): Finding =>
    refuses(godwitError('GODWIT_CAPABILITY', { what, reason }, { hint }));
  const pairs = [
    [source, destination],
    [destination, source],
  ] as const;
  const open = pairs.flatMap(([host, { name: other }]) => {
    if (host.unencryptedMemory?.includes(other) === true) return [];
    const reason = `it does not encrypt memory, and ${host.name} does not let memory go unencrypted between it and ${other}`;
    const hint = `Where the link between them is your own, add ${other} to \`unencryptedMemory\` in the configuration of ${host.name}; else leave the option out.`;
    return [refused(reason, hint)];
  });
  const without = transport === 'rdma' ? [source, destination] : [];
  const bare = without.flatMap(({ name, rdma = [] }) => {
    if (rdma.length > 0) return [];
    const hint = `Look with \`rdma link\` or \`ibv_devices\` on ${name}, or leave the option out.`;
    return [refused(`${name} has no RDMA device with an active port`, hint)];
  });
  const lacks = [...open, ...bare];
  const devices = [source, destination].map(({ name, rdma = [] }) => `${name}: ${rdma.join(', ')}`);
  if (lacks.length > 0) return lacks;
  return [
    passes(transport === 'rdma' ? devices.join('; ') : 'both hosts let memory go unencrypted'),
  ];
}

type TransportFacts = Pick<HostFacts, 'name' | 'unencryptedMemory' | 'rdma'>;

export function judgeSiteCheck({
  destination: { name, siteChecks },
  siteCheck,
}: Pick<HostsFacts, 'siteCheck'> & {
  readonly destination: Pick<HostFacts, 'name' | 'siteChecks'>;
}): Finding[] {
  if (siteCheck === undefined) return [];
  if (siteChecks?.includes(siteCheck) === true) return [passes(`${name} has ${siteCheck}`)];
  const what = `--return-if-unhealthy ${siteCheck}`;
  if (siteChecks === undefined) {
    const reason = `${name} runs a build that knows no checks of the site`;
    return [
      refuses(
        godwitError('GODWIT_CAPABILITY', { what, reason }, { hint: `Upgrade Godwit on ${name}.` }),
      ),
    ];
  }
  const has = siteChecks.length === 0 ? 'no check' : siteChecks.slice(0, 10).join(', ');
  const reason = `${name} has no executable ${siteCheck} in its \`hooks.directory\`; it has ${has}`;
  const hint = `Install it there (docs/hooks.md), or leave the option out.`;
  return [refuses(godwitError('GODWIT_CAPABILITY', { what, reason }, { hint }))];
}

function eachOf(
  hosts: readonly HostFacts[],
  judge: (host: HostFacts) => Finding | string,
): Finding[] {
  const judged = hosts.map(judge);
  const found = judged.filter((each) => typeof each !== 'string');
  const seen = judged.filter((each) => typeof each === 'string');
  return found.length > 0 ? found : [passes(seen.join(', '))];
}
