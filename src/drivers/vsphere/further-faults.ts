import type { Meaning } from './faults.ts';

/** Families of faults that name neither a feature, a device nor a datastore, but have a fix of their own. Pure. */

type Refusing = (hint: string) => Meaning['error'];

/** Rules of a cluster that speak against a host. */
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
/** Where a guest goes to another vCenter: its own sees another certificate there than Godwit did. */
const CERTIFICATE = /^SSL/;
const CERTIFICATE_FIX =
  'Look who answers the vCenter at that address: it is shown another certificate there than Godwit.';
const HOSTS =
  /^(Gateway|AlreadyBeingManaged|AlreadyConnected|CannotAddHost|MultipleCertificates|NoPermissionOnHost|NonVmwareOui|ReadHostResource|TooManyHosts)/;

export function furtherFaults(refusing: Refusing): readonly (readonly [RegExp, Meaning])[] {
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
