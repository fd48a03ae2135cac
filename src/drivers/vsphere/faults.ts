import { godwitError, type GodwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { at, textAt, type XmlElement } from '../../formats/xml.ts';
import { RIGHTS } from './rights.ts';
import type { Fault } from './soap.ts';

/** Families of faults with a fix but without a feature, device or datastore. Pure. */

type Refusing = (hint: string) => Meaning['error'];

const RULES =
  /^(AffinityConfigured|RuleViolation|VmHostAffinityRuleViolation|SoftRuleVio|NoCompatible(Hard|Soft)AffinityHost|DrsVmotionIncompatibleFault|EightHostLimitViolated|QuarantineModeFault|WillLoseHAProtection|HAErrorsAtDest|DatacenterMismatch|DrsDisabledOnVm|GenericDrsFault)/;
const SNAPSHOTS =
  /^(Snapshot|HotSnapshotMove|CloneFromSnapshot|WillResetSnapshotDirectory|MultipleSnapshots|TooManySnapshotLevels|MemorySnapshot|CannotDisableSnapshot|InvalidSnapshotFormat|ApplicationQuiesceFault|FilesystemQuiesceFault|DeltaDiskFormat)/;
const FILES =
  /^(File(?!BackedPort)|CannotCreateFile|CannotDeleteFile|DirectoryNotEmpty|IncorrectFileType|NetworkCopyFault|NotADirectory|NotAFile|TooMany(ConcurrentNative|NativeCloneLevels|DisksOnLegacyHost)|DiskMoveTypeNotSupported|FullStorageVMotion|IndependentDiskVMotion|NonHomeRDMVMotion|UnsharedSwapVMotion|LargeRDM|ReadOnlyDisks|StorageVmotion|StorageDrs|Unsupported(Datastore|VmxLocation)|UnSupportedDatastore|InvalidDiskFormat|DigestNotSupported|MemoryFileFormat|SwapPlacement|SwapDatastore|VFlash|InaccessibleVFlash|VirtualDiskBlocks|UnusedVirtualDiskBlocks|DestinationVsan|Vsan|NoCompatibleDatastore|NoConnectedDatastore)/;
const NETWORKS =
  /^(MismatchedNetworkPolicies|MismatchedVMotionNetworkNames|DVPort|FileBackedPort|VMOnConflictDVPort|MissingIpPool|MissingNetworkIpConfig|NoAvailableIp|NoVcManagedIp|InvalidNetworkInType|VmotionInterfaceNotEnabled|DvsFault)/;
const CONFIGURATION =
  /^(DisallowedMigrationDevice|IncompatibleDefaultDevice|Invalid(Controller|Device|Format|Property|VmConfig)|MissingController|TooManyDevices|UnsupportedGuest|CpuHotPlug|MemoryHotPlug|MemorySizeNotRecommended|VMINotSupported|WakeOnLan|VmWwnConflict|VmConfig|GenericVmConfig|NotUserConfigurable|UnconfiguredProperty|OvfConsumer|VApp|ConnectedIso|VmValidateMaxDevice|NotEnoughLogicalCpus)/;
const PROCESSOR = /^(Cannot|Will)ModifyConfigCpuRequirements|^ActiveVMsBlockingEVC/;
const TOLERANCE =
  /^(Ft|NotSupportedDeviceForFT|Secondary|InvalidOperationOnSecondary|PowerOnFt|IncompatibleHostForFt|Cannot(ChangeDrsBehaviorForFt|ChangeHaSettingsForFt|ComputeFT|MoveFaultTolerance)|VmSmpFaultTolerance)/;
const LATER =
  /^(ToolsInstallationInProgress|NoGuestHeartbeat|MigrationNotReady|MigrationFault|SuspendedRelocate|InvalidVmState|VmPowerOnDisabled|QuestionPending|EncryptionKeyRequired|MksConnectionLimit|CannotPowerOffVm|ResourceInUse|FilterInUse|RestrictedByAdministrator|ConcurrentAccess|InvalidResourcePoolStructure|QuiesceDatastoreIO)/;
const LICENCE =
  /^(License|NoLicense|Expired|InvalidEditionLicense|InvalidLicense|FailToEnableSPBM|InUseFeature|IncorrectHostInformation|InventoryHasStandard|VmLimitLicense|VramLimitLicense)/;
/** Move to another vCenter: the guest's vCenter sees a different certificate there than Godwit. */
const CERTIFICATE = /^SSL/;
const CERTIFICATE_FIX =
  'Look who answers the vCenter at that address: it is shown another certificate there than Godwit.';
const HOSTS =
  /^(Gateway|AlreadyBeingManaged|AlreadyConnected|CannotAddHost|MultipleCertificates|NoPermissionOnHost|NonVmwareOui|ReadHostResource|TooManyHosts)/;

function furtherFaults(refusing: Refusing): readonly (readonly [RegExp, Meaning])[] {
  const meaning = (name: Meaning['name'], side: Meaning['side'], hint: string): Meaning => ({
    name,
    side,
    error: refusing(hint),
  });
  return [
    [
      RULES,
      meaning(
        'rules',
        'destination',
        'Choose a host that the rules of DRS and HA allow, or change the rules for the guest.',
      ),
    ],
    [
      SNAPSHOTS,
      meaning('snapshots', 'source', 'Consolidate or remove the snapshots of the guest.'),
    ],
    [
      FILES,
      meaning(
        'disks',
        'destination',
        'Look at the files of the guest in vSphere; give them a datastore of that kind on the other host.',
      ),
    ],
    [
      NETWORKS,
      meaning(
        'network',
        'destination',
        'Give the other host a network (port group) of the same name and kind, and free ports in it.',
      ),
    ],
    [
      PROCESSOR,
      meaning(
        'processor',
        'destination',
        'Give the cluster an EVC mode that both hosts have; the guest sees it once it was off and on again.',
      ),
    ],
    [
      TOLERANCE,
      meaning('manager', 'source', 'Turn fault tolerance of the guest off for the move.'),
    ],
    [
      LATER,
      meaning(
        'manager',
        'source',
        'Look at the guest in vSphere: answer its question or end what is under way; then try again.',
      ),
    ],
    [LICENCE, meaning('licence', 'both', 'Give both hosts and their vCenter a licence for it.')],
    [CERTIFICATE, meaning('manager', 'both', CERTIFICATE_FIX)],
    [HOSTS, meaning('host', 'destination', 'Connect the host to its vCenter, or choose another.')],
    [
      CONFIGURATION,
      meaning(
        'devices',
        'source',
        'Change that part of the guest’s configuration in vSphere, or choose a host that has it.',
      ),
    ],
  ];
}

/** Converts vSphere's faults to checks with the host, device or feature and a fix. Pure. */

export interface FaultSubject {
  readonly guest: string;
  readonly host: string;
}

type Name =
  | 'processor'
  | 'devices'
  | 'disks'
  | 'network'
  | 'memory'
  | 'host'
  | 'rules'
  | 'snapshots'
  | 'licence'
  | 'rights'
  | 'manager';

export interface Meaning {
  readonly name: Name;
  readonly side: Check['side'];
  readonly error: (fault: Fault, concerned: FaultSubject) => GodwitError;
}

/** Family of a fault by its type; the first match counts. */
const MEANINGS: readonly (readonly [RegExp, Meaning])[] = [
  [
    /^(CpuIncompatible|FeatureRequirementsNotMet|EVC|HeterogenousHostsBlockingEVC|CpuCompatibility)/,
    { name: 'processor', side: 'destination', error: processor },
  ],
  [
    /^(InsufficientMemoryResourcesFault|MemorySizeNotSupported)/,
    { name: 'memory', side: 'destination', error: memory },
  ],
  [
    /^(CannotAccessNetwork|CannotUseNetwork|NetworksMayNotBeTheSame|DestinationSwitchFull|VMOnVirtualIntranet|LegacyNetworkInterfaceInUse|VirtualEthernetCardNotSupported|MacAddressConflict)/,
    {
      name: 'network',
      side: 'destination',
      error: refusing(
        'Give the other host a network (port group) of the same name and kind, and free ports in it.',
      ),
    },
  ],
  [
    /^(VMotion|TooManyNativeClones|MigrationDisabled|NumVirtualCpusIncompatible$|MigrationFeatureNotSupported)/,
    {
      name: 'network',
      side: 'both',
      error: refusing(
        'Both hosts need a VMkernel interface with vMotion enabled, in one network, with its link up, and the licence for vMotion.',
      ),
    },
  ],
  [
    /^(CannotAccess(?!LocalSource)|DatastoreNotWritable|InaccessibleDatastore|InvalidDatastore|NoDiskSpace|InsufficientStorage|DiskNotSupported|DisallowedDiskMode|NoDisksToCustomize|RawDiskNotSupported|RDM|PhysCompatRDM|CannotMoveVmWithDeltaDisk|CannotMoveVmWithNativeDeltaDisk|SnapshotMove|UncommittedUndoableDisk|NonPersistentDisks|VirtualDiskModeNotSupported|SharedBusControllerNotSupported|StorageVMotion|VsanFault|VsanDisk)/,
    { name: 'disks', side: 'destination', error: disk },
  ],
  [
    /^(Device|Floppy|Cdrom|RemoteDevice|Usb|VirtualHardware|SoundCard|PassthroughNotSupported|PciPassthrough|SrIov|IDEDiskNotSupported|MultiWriterNotSupported|VirtualPCIPassthrough|CannotAccessLocalSource)/,
    { name: 'devices', side: 'source', error: device },
  ],
  [
    /^(Insufficient|NumVirtualC|NotEnoughCpus|NotEnoughLicenses)/,
    {
      name: 'host',
      side: 'destination',
      error: refusing('Choose a host with more room, or make room on this one.'),
    },
  ],
  [
    /^(Host|NoActiveHost|NoCompatibleHost|NoHost|DisconnectedHosts|InvalidHost|NotSupportedHost|InvalidHostConnectionState|Timedout|MaintenanceMode|AgentInstallFailed)/,
    {
      name: 'host',
      side: 'destination',
      error: refusing(
        'Connect the host to its vCenter and end its maintenance, or choose another.',
      ),
    },
  ],
  [/^NoPermission$/, { name: 'rights', side: 'both', error: right }],
  [
    /^(InvalidPowerState|InvalidState|TaskInProgress|MethodDisabled|FaultTolerance|VmFaultTolerance|VmAlready)/,
    {
      name: 'manager',
      side: 'source',
      error: refusing('Wait until its other tasks have ended; then try again.'),
    },
  ],
  ...furtherFaults(refusing),
];

const UNKNOWN: Meaning = {
  name: 'manager',
  side: 'both',
  error: refusing('This driver does not know that fault: the words are vSphere’s own.'),
};

/** Meaning of a fault. An unknown fault is shown in full. */
export function checkOf(fault: Fault, concerned: FaultSubject, verdict: 'warn' | 'refuse'): Check {
  const { name, side, error } = meaningOf(fault.type);
  const found = error(fault, concerned);
  const evidence = found.message.slice(0, 4096);
  return { name, side, verdict, evidence, error: found.toJSON() };
}

function meaningOf(type: string): Meaning {
  return MEANINGS.find(([pattern]) => pattern.test(type))?.[1] ?? UNKNOWN;
}

/** vSphere's message with the fault's type. */
export function wordsOf({ type, message, detail }: Fault): string {
  const text = message === '' ? (textAt(detail, 'reason', 'message') ?? '') : message;
  return (text === '' ? type : `${text} (${type})`).slice(0, 1024);
}

function refusing(hint: string): Meaning['error'] {
  return (fault, { guest, host }) => {
    const facts = { manager: 'vSphere', guest, host, reason: wordsOf(fault) };
    return godwitError('GODWIT_MANAGER_REFUSES', facts, { hint });
  };
}

/** Flags of faults that name single processor features. */
const FEATURES: ReadonlySet<string> = new Set(
  'sse3 pclmulqdq ssse3 sse41 sse42 aes nx ffxsr rdtscp lm'.split(' '),
);

function processor(fault: Fault, { guest, host }: FaultSubject): GodwitError {
  const features = [...featuresIn(fault.detail), ...requirementsIn(fault.detail)];
  const said = features.length === 0 ? registerIn(fault) : features.join(', ');
  const facts = { host, guest, features: said.slice(0, 1024) };
  const hint =
    'Choose a host with them, or give the cluster an EVC mode that both have; the guest sees it once it was off and on again.';
  return godwitError('GODWIT_CPU_FEATURE', facts, { hint });
}

function featuresIn({ children }: XmlElement): string[] {
  const set = children.filter(({ name, text }) => FEATURES.has(name) && text === 'true');
  return set.map(({ name }) => name);
}

/** `featureRequirement` of FeatureRequirementsNotMet, such as cpuid.avx512f. */
function requirementsIn(detail: XmlElement): string[] {
  return at(detail, 'featureRequirement')
    .map((each) => textAt(each, 'featureName') ?? textAt(each, 'key') ?? '')
    .filter((name) => name !== '')
    .slice(0, 64);
}

function registerIn(fault: Fault): string {
  const { detail } = fault;
  const [level, register] = [textAt(detail, 'level'), textAt(detail, 'registerName')];
  if (level === undefined || register === undefined) return wordsOf(fault);
  const bits = textAt(detail, 'registerBits') ?? 'unknown';
  const wanted = textAt(detail, 'desiredBits') ?? 'unknown';
  return `CPUID level ${level}, register ${register}: it has ${bits}, the guest needs ${wanted}`;
}

function device(fault: Fault, { guest }: FaultSubject): GodwitError {
  const named = textAt(fault.detail, 'device') ?? 'of the guest';
  const facts = { device: named.slice(0, 128), type: fault.type, guest, reason: wordsOf(fault) };
  const hint =
    'Disconnect the device in vSphere (CD and floppy images of a host, USB, passthrough), or remove it.';
  return godwitError('GODWIT_DEVICE_UNMOVABLE', facts, { hint });
}

function disk(fault: Fault, { guest }: FaultSubject): GodwitError {
  const { detail } = fault;
  const place =
    textAt(detail, 'datastore') ?? textAt(detail, 'file') ?? textAt(detail, 'name') ?? 'of vSphere';
  const facts = {
    device: textAt(detail, 'device') ?? 'of the guest',
    guest,
    file: place.slice(0, 256),
    reason: wordsOf(fault),
  };
  const hint = 'Give the other host its datastore, with space and write access.';
  return godwitError('GODWIT_DISK_LOCAL', facts, { hint });
}

function memory(fault: Fault, concerned: FaultSubject): GodwitError {
  const free = numberAt(fault.detail, 'unreserved');
  const needed = numberAt(fault.detail, 'requested');
  if (free === undefined || needed === undefined) {
    return refusing('Choose a host with more memory.')(fault, concerned);
  }
  const { guest, host } = concerned;
  const facts = { host, availableBytes: free, guest, neededBytes: needed };
  return godwitError('GODWIT_MEMORY_SHORT', facts);
}

function numberAt(detail: XmlElement, name: string): number | undefined {
  const value = Number(textAt(detail, name) ?? Number.NaN);
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function right(fault: Fault): GodwitError {
  return denied(fault);
}

export function denied({ detail }: Fault): GodwitError {
  const privilege =
    textAt(detail, 'privilegeId') ?? textAt(detail, 'missingPrivileges', 'privilegeIds');
  const object = textAt(detail, 'object') ?? 'an object';
  const why = RIGHTS.find(({ id }) => id === privilege)?.why;
  const named = privilege === undefined ? '(it does not say which)' : privilege.slice(0, 128);
  const facts = {
    manager: 'vSphere',
    address: 'its vCenter',
    what: `a call that needs the right ${named}${why === undefined ? '' : ` (${why})`}`,
    reason: `the user lacks it on ${object}`.slice(0, 256),
  };
  return godwitError('GODWIT_MANAGER_DENIED', facts);
}
