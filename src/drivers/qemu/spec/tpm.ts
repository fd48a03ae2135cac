import { defined } from '../../../protocol/defined.ts';
import { valuesOf, type CommandLine } from './cmdline.ts';
import { unmovable, type Finding } from './findings.ts';
import { parseJsonOption, parseOption } from './options.ts';
import { TPM_KDFS, TPM_MODES, type TpmKey, type TpmSpec } from './tpm-schema.ts';

/** TPM that swtpm serves for QEMU, from both command lines. Pure. */

export interface TpmBackend {
  readonly id: string;
  readonly chardev: string;
  readonly socket: string;
}

export type TpmFacts =
  | Pick<TpmSpec, 'version' | 'key' | 'migrationKey'>
  | { readonly problem: string };

export function tpmBackend(line: CommandLine): TpmBackend | undefined {
  for (const value of valuesOf(line, 'tpmdev')) {
    const { head, props } = wordsOf(value, 'type');
    const [id, chardev] = [props.get('id'), props.get('chardev')];
    if (head !== 'emulator' || id === undefined || chardev === undefined) continue;
    return { id, chardev, socket: socketOf(line, chardev) };
  }
  return undefined;
}

/** Empty unless it is a unix socket that QEMU connects to. */
function socketOf(line: CommandLine, id: string): string {
  const found = valuesOf(line, 'chardev')
    .map((value) => wordsOf(value, 'backend'))
    .find(({ head, props }) => head === 'socket' && props.get('id') === id);
  return found?.props.get('path') ?? '';
}

function wordsOf(
  value: string,
  first: string,
): { head: string | undefined; props: Map<string, string> } {
  if (!value.startsWith('{')) {
    const { head, props } = parseOption(value, true);
    return { head: head ?? props.get(first), props: new Map(props) };
  }
  const all = Object.entries(parseJsonOption(value) ?? {});
  const props = new Map(
    all.flatMap(([key, held]) => (typeof held === 'string' ? [[key, held] as const] : [])),
  );
  return { head: props.get(first), props };
}

const BESIDE = 'the program that serves it, swtpm,';

export function describeTpm(
  line: CommandLine,
  facts: TpmFacts | undefined,
): { readonly tpm?: TpmSpec; readonly findings: readonly Finding[] } {
  const backend = tpmBackend(line);
  const findings = valuesOf(line, 'tpmdev').flatMap((value): Finding[] => {
    if (wordsOf(value, 'type').head === 'emulator' && backend !== undefined) return [];
    return [unmovable(`-tpmdev ${value}`, 'option', 'it is a chip of this host, passed through')];
  });
  if (backend === undefined) return { findings };
  const { id, chardev } = backend;
  const problem =
    facts === undefined ? `${BESIDE} was not looked for` : 'problem' in facts && facts.problem;
  if (problem !== false || facts === undefined || 'problem' in facts) {
    return { findings: [...findings, unmovable(id, 'tpmdev emulator', String(problem))] };
  }
  return { tpm: { id, chardev, ...facts }, findings };
}

export function swtpmSocket(argv: readonly string[]): string | undefined {
  if (!/(^|\/)swtpm$/.test(argv[0] ?? '') || argv[1] !== 'socket') return undefined;
  const control = swtpmOption(argv, 'ctrl');
  return control?.get('type') === 'unixio' ? control.get('path') : undefined;
}

export function readSwtpm(argv: readonly string[]): TpmFacts {
  const version = argv.includes('--tpm2') ? '2.0' : '1.2';
  const [key, migrationKey] = (['key', 'migration-key'] as const).map((name) =>
    keyOf(swtpmOption(argv, name)),
  );
  if (key === null || migrationKey === null) {
    const reason =
      'is encrypted with a key that is no passphrase, or in a form that Godwit does not know';
    return { problem: `its state ${reason}: have swtpm take one by pwdfile or pwdfd` };
  }
  return {
    version,
    ...defined({ key, migrationKey }),
  };
}

/** Parses `--name a=b,c=d` or `--name=a=b,c=d`. */
function swtpmOption(argv: readonly string[], name: string): Map<string, string> | undefined {
  const at = argv.findIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`));
  if (at === -1) return undefined;
  const word = argv[at] ?? '';
  const text = word === `--${name}` ? (argv[at + 1] ?? '') : word.slice(name.length + 3);
  return new Map(
    text.split(',').map((part): [string, string] => {
      const cut = part.indexOf('=');
      return cut === -1 ? [part, ''] : [part.slice(0, cut), part.slice(cut + 1)];
    }),
  );
}

/** Undefined: not encrypted. Null: in an unsupported way. The defaults are swtpm's. */
function keyOf(option: ReadonlyMap<string, string> | undefined): TpmKey | null | undefined {
  if (option === undefined) return undefined;
  if (!option.has('pwdfile') && !option.has('pwdfd')) return null;
  const said = option.get('mode') ?? 'aes-128-cbc';
  const mode = TPM_MODES.find((each) => each === said || said === each.replace('-128', ''));
  const kdf = TPM_KDFS.find((each) => each === (option.get('kdf') ?? 'pbkdf2'));
  return mode === undefined || kdf === undefined ? null : { mode, kdf };
}
