/**
 * Meanings and fixes of Hyper-V's error numbers. An event's number says little (21502 is any failure); the
 * message contains the HRESULT and the reason. Pure.
 */

export interface Meaning {
  readonly words: string;
  readonly fix: string;
  /** Kind of failure, if a check has a name for it. */
  readonly kind?:
    | 'delegation'
    | 'network'
    | 'memory'
    | 'cpu'
    | 'switch'
    | 'limit'
    | 'rights'
    | 'image';
}

const DELEGATION =
  'The source may not act for the user at the destination: set resource-based constrained delegation (docs/drivers/hyperv.md has the script), or let both hosts authenticate by Kerberos.';
const PORT =
  'Open TCP port 6600 from the source to the destination (SMB: 445 too), and check the migration networks of both hosts.';

const BY_HRESULT: ReadonlyMap<number, Meaning> = new Map<number, Meaning>([
  [
    0x8009030e,
    { words: 'no credentials for the destination', fix: DELEGATION, kind: 'delegation' },
  ],
  [
    0x8009030d,
    { words: 'the credentials are not recognised', fix: DELEGATION, kind: 'delegation' },
  ],
  [
    0x80090322,
    {
      words: 'the destination is not whom the Kerberos ticket names',
      fix: 'Check DNS and the clocks of both hosts, and that both have their Hyper-V service principal names (`setspn -L HOST`).',
      kind: 'delegation',
    },
  ],
  [0x8007274c, { words: 'the destination did not answer in time', fix: PORT, kind: 'network' }],
  [0x8007274d, { words: 'the destination refused the connection', fix: PORT, kind: 'network' }],
  [0x80072746, { words: 'the connection was reset', fix: PORT, kind: 'network' }],
  [0x8007271d, { words: 'a socket may not be used so', fix: PORT, kind: 'network' }],
  [
    0x800705aa,
    {
      words: 'the destination lacks resources, memory above all',
      fix: 'Free memory at the destination, or choose another host.',
      kind: 'memory',
    },
  ],
  [
    0x8007000e,
    {
      words: 'the destination lacks memory',
      fix: 'Free memory at the destination, or choose another host.',
      kind: 'memory',
    },
  ],
  [
    0xc03a0014,
    {
      words: 'a virtual disk or ISO image cannot be opened',
      fix: 'Take the image out of the DVD drive (`Set-VMDvdDrive -Path $null`), or put it where both hosts read it.',
      kind: 'image',
    },
  ],
  [
    0x80070569,
    {
      words: 'the virtual machine’s account may not log on at the destination',
      fix: 'Give NT VIRTUAL MACHINE\\Virtual Machines the right "Log on as a service" there; a group policy may have taken it.',
      kind: 'rights',
    },
  ],
  [
    0x80070005,
    {
      words: 'access is denied',
      fix: `Put the user into Hyper-V Administrators of both hosts. ${DELEGATION}`,
      kind: 'rights',
    },
  ],
]);

const BY_WORDS: readonly (readonly [RegExp, Meaning])[] = [
  [
    /do not have the required permission/i,
    {
      words:
        'the user is not in Hyper-V Administrators of that host, and without it sees and moves no guest',
      fix: 'On that host: `Add-LocalGroupMember -SID S-1-5-32-578 -Member USER`.',
      kind: 'rights',
    },
  ],
  [
    /processor-specific features not supported|different processor|processor features/i,
    {
      words: 'the destination’s processor lacks features that the guest uses',
      fix: 'Shut the guest down, turn processor compatibility on (`Set-VMProcessor NAME -CompatibilityForMigrationEnabled $true`), and start it again.',
      kind: 'cpu',
    },
  ],
  [
    /could not find Ethernet switch|Ethernet switch .{0,200} not|virtual switch/i,
    {
      words: 'the destination has no virtual switch of that name',
      fix: 'Make a virtual switch of the same name there (`New-VMSwitch`), or rename one.',
      kind: 'switch',
    },
  ],
  [
    /maximum number|simultaneous|migration limit/i,
    {
      words: 'as many migrations are under way as the host allows',
      fix: 'Wait for one to end, or raise the limit (`Set-VMHost -MaximumVirtualMachineMigrations`).',
      kind: 'limit',
    },
  ],
];

const BY_EVENT: ReadonlyMap<number, RegExp> = new Map([
  [21_125, /virtual switch/],
  [21_501, /migration limit/],
]);

/** Return values of MigrateVirtualSystemToHost. */
const RETURNED: ReadonlyMap<number, string> = new Map([
  [32_768, 'failed'],
  [32_769, 'access is denied'],
  [32_770, 'not supported'],
  [32_771, 'its status is unknown'],
  [32_772, 'it took too long'],
  [32_773, 'a parameter is invalid'],
  [32_774, 'the system is in use'],
  [32_775, 'not in this state'],
  [32_776, 'a data type is incorrect'],
  [32_777, 'the system is not available'],
  [32_778, 'out of memory'],
  [32_784, 'the two hosts are incompatible'],
]);

export function returnedWords(value: number): string {
  return RETURNED.get(value) ?? `Hyper-V returned ${value}`;
}

/** Meaning by the HRESULT, by a number in the message, or by its text. */
export function meaningOf(message: string, hresult?: number): Meaning | undefined {
  const numbers = [hresult, ...named(message)].filter((each) => each !== undefined);
  for (const number of numbers) {
    const found = BY_HRESULT.get(number >>> 0);
    if (found !== undefined) return found;
  }
  return BY_WORDS.find(([pattern]) => pattern.test(message))?.[1];
}

export function meaningOfEvent(id: number, message: string): Meaning | undefined {
  const words = BY_EVENT.get(id);
  return meaningOf(words === undefined ? message : `${message} ${words.source}`);
}

function named(message: string): number[] {
  const found = message.slice(0, 8192).matchAll(/0x([0-9A-Fa-f]{8})(?![0-9A-Fa-f])/g);
  return [...found].map(([, hex = '']) => Number.parseInt(hex, 16));
}

export function explained(message: string, hresult?: number): string {
  const meaning = meaningOf(message, hresult);
  const number =
    hresult === undefined || hresult === 0 || named(message).includes(hresult >>> 0)
      ? ''
      : ` (0x${(hresult >>> 0).toString(16).toUpperCase().padStart(8, '0')})`;
  const reported = `${message.trim() || 'Hyper-V does not say why'}${number}`;
  return meaning === undefined ? reported : `${reported} That is: ${meaning.words}. ${meaning.fix}`;
}
